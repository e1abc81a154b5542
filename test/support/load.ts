import { Agent, request as httpRequest } from 'node:http';

export interface Outcome {
  readonly id: string;
  readonly method: string;
  /** 0: the connection broke without an answer. */
  readonly status: number;
  readonly body: string;
  readonly ms: number;
  /** When it ended, on this process's monotonic clock. */
  readonly at: number;
}

/** Clients that ask one request after the other until told to stop. */
export interface Load {
  readonly outcomes: Outcome[];
  /** Stops asking, waits for what is on its way. */
  stop(): Promise<Outcome[]>;
}

/** @param methods each client takes one of them in turn; the target says `?id=…`, unique per request */
export function startLoad(url: string, { clients, methods }: { clients: number; methods: readonly string[] }): Load {
  const agent = new Agent({ keepAlive: true, maxSockets: clients });
  const outcomes: Outcome[] = [];
  let stopped = false;
  let count = 0;
  const ask = (method: string): Promise<void> =>
    new Promise(resolve => {
      const id = `${method}-${count++}`;
      const startedAt = performance.now();
      const done = (status: number, body: string): void => {
        const at = performance.now();
        outcomes.push({ id, method, status, body, ms: at - startedAt, at });
        resolve();
      };
      const request = httpRequest(`${url}/?id=${id}`, { method, agent }, response => {
        let body = '';
        response.setEncoding('utf8');
        response.on('data', text => {
          body += text;
        });
        response.on('end', () => done(response.statusCode ?? 0, body));
        response.on('error', error => done(0, String(error)));
      });
      request.on('error', error => done(0, String(error)));
      request.end(method === 'POST' ? 'body' : undefined);
    });
  const running = Array.from({ length: clients }, async (_, client) => {
    for (let i = client; !stopped; i++) await ask(methods[i % methods.length] ?? 'GET');
  });
  return {
    outcomes,
    stop: async () => {
      stopped = true;
      await Promise.all(running);
      agent.destroy();
      return outcomes;
    },
  };
}
