import { createServer, type RequestListener } from 'node:http';
import { listen } from '../../lib/listen.ts';
import { Rates } from './http-rates.ts';
import type { BrokerServer } from './server.ts';

export interface HttpApi {
  readonly port: number;
  close(): Promise<void>;
}

const sampleMs = 1_000;

/**
 * Starts the broker's HTTP API. What answers is loaded with the first request: the broker is ready sooner.
 * @param amqp where the broker listens, `host:port`: a part of its connections' names
 * @throws Failure PORT_TAKEN, PORT_DENIED, LISTEN
 */
export async function startHttpApi(
  broker: BrokerServer,
  { host, port, amqp }: { host: string; port: number; amqp: string },
): Promise<HttpApi> {
  const rates = new Rates(broker.broker);
  let app: Promise<RequestListener> | undefined;
  const server = createServer((request, response) => {
    app ??= import('./http-app.ts').then(({ createHttpApp }) => createHttpApp(broker, rates, amqp));
    app.then(
      handle => handle(request, response),
      () => response.destroy(),
    );
  });
  server.requestTimeout = 10_000;
  server.maxConnections = 256;
  const bound = await listen(server, { host, port });
  const timer = setInterval(() => rates.sample(performance.now()), sampleMs);
  return {
    port: bound,
    close: async () => {
      clearInterval(timer);
      const closed = new Promise(resolve => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  };
}
