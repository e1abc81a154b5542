import { resolve } from 'node:path';
import { createBus } from '../bus/amqp-bus.ts';
import { roles } from '../bus/topology.ts';
import type { Run } from '../cli/io.ts';
import { dialable } from '../lib/dialable.ts';
import { serveUntil } from '../lib/stop.ts';
import { startNaming } from './service.ts';

/** `warren naming`: serves until `stop` aborts. */
export const run: Run = async (config, stop, io) => {
  const { queueType } = config.broker;
  const warn = (line: string): void => io.err(`naming: ${line}\n`);
  const bus = createBus({ urls: config.broker.url, name: 'warren naming', role: roles.naming(queueType) }, warn);
  try {
    const naming = await startNaming(
      { bus, now: () => Date.now(), clock: () => performance.now(), random: () => Math.random(), warn },
      { ...config.naming, dataDir: resolve(io.cwd, config.data.dir), queueType },
    );
    try {
      io.out(`naming serves ${naming.url} (/openapi.json, /livez)\n`);
      const zones = config.naming.zones.join(', ');
      io.out(`naming answers DNS at ${dialable(config.naming.dnsHost)}:${naming.dnsPort} for ${zones}\n`);
      await serveUntil(
        stop,
        () => bus.ready(stop),
        () => io.out('naming is up\n'),
      );
    } finally {
      await naming.close();
    }
  } finally {
    await bus.close();
  }
};
