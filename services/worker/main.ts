import { createBus } from '../bus/amqp-bus.ts';
import { roles } from '../bus/topology.ts';
import type { Run } from '../cli/io.ts';
import { Failure } from '../lib/failure.ts';
import { listen } from '../lib/listen.ts';
import { aborted } from '../lib/stop.ts';
import { createHealthServer } from './health.ts';
import { startWorker } from './worker.ts';

/** `warren worker`: takes jobs until `stop` aborts, then finishes those it has. */
export const run: Run = async (config, stop, io) => {
  const { service, upstream, healthHost, healthPort } = config.worker;
  if (upstream.length === 0) {
    throw new Failure('CONFIG', 'no upstream: say where the service runs, as in --upstream http://127.0.0.1:3000');
  }
  const role = roles.worker(service, config.broker.queueType);
  const log = (line: string): void => io.err(`worker: ${line}\n`);
  const bus = createBus({ urls: config.broker.url, name: `warren worker ${service}`, role }, log);
  let isTaking = false;
  const health = createHealthServer(() => {
    if (stop.aborted) return 'draining';
    if (bus.state !== 'up') return bus.reason;
    return isTaking ? undefined : 'starting';
  });
  try {
    if (healthPort !== undefined) await listen(health, { host: healthHost, port: healthPort });
    const starting = startWorker(
      { bus, clock: () => performance.now(), log },
      { ...config.worker, queueType: config.broker.queueType },
    );
    const worker = await Promise.race([starting, aborted(stop)]);
    if (worker) {
      isTaking = true;
      io.out(`worker ${worker.id} takes jobs of service ${service} for ${upstream.join(', ')}\n`);
      await aborted(stop);
      await worker.close(config.worker.drainMs);
    }
  } finally {
    health.close();
    health.closeAllConnections();
    await bus.close();
  }
};
