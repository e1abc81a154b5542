import { createBus } from '../bus/amqp-bus.ts';
import { roles } from '../bus/topology.ts';
import type { Run } from '../cli/io.ts';
import { Failure } from '../lib/failure.ts';
import { aborted } from '../lib/stop.ts';
import { startWorker } from './worker.ts';

/** `warren worker`: takes jobs until `stop` aborts, then finishes those it has. */
export const run: Run = async (config, stop, io) => {
  const { service, upstream } = config.worker;
  if (upstream.length === 0) {
    throw new Failure('CONFIG', 'no upstream: say where the service runs, as in --upstream http://127.0.0.1:3000');
  }
  const role = roles.worker(service, config.broker.queueType);
  const log = (line: string): void => io.err(`worker: ${line}\n`);
  const bus = createBus({ urls: config.broker.url, name: `warren worker ${service}`, role }, log);
  try {
    const starting = startWorker(
      { bus, clock: () => performance.now(), log },
      { ...config.worker, queueType: config.broker.queueType },
    );
    const worker = await Promise.race([starting, aborted(stop)]);
    if (worker) {
      io.out(`worker ${worker.id} takes jobs of service ${service} for ${upstream.join(', ')}\n`);
      await aborted(stop);
      await worker.close(config.worker.drainMs);
    }
  } finally {
    await bus.close();
  }
};
