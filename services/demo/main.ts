import type { Run } from '../cli/io.ts';
import { serveUntil } from '../lib/stop.ts';
import { startReplicas } from './replicas.ts';

/**
 * `warren demo`: the sample form on each of `demo.ports` until `stop` aborts.
 * @throws Failure PORT_TAKEN, PORT_REFUSED, or BUS_… when the broker refuses the replicas for good
 */
export const run: Run = async (config, stop, io) => {
  const log = (line: string): void => io.err(`${line}\n`);
  const started = await startReplicas({ brokerUrls: config.broker.url, ...config.demo }, log);
  try {
    for (const { name, url } of started.replicas) io.out(`${name} serves the form on ${url}\n`);
    await serveUntil(stop, () => started.connected);
  } finally {
    await started.close();
  }
};
