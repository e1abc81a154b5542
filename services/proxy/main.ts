import { createBus } from '../bus/amqp-bus.ts';
import { roles } from '../bus/topology.ts';
import type { Run } from '../cli/io.ts';
import { aborted } from '../lib/stop.ts';
import { startProxy } from './proxy.ts';

/** `warren proxy`: serves until `stop` aborts, then finishes what runs. */
export const run: Run = async (config, stop, io) => {
  const services = [...new Set(config.routes.map(route => route.service))];
  const role = roles.proxy(services, config.broker.queueType);
  const bus = createBus({ urls: config.broker.url, name: 'warren proxy', role }, line => io.err(`proxy: ${line}\n`));
  try {
    const starting = startProxy({ bus, write: io.out, clock: () => performance.now() }, config);
    // Stopped while there is no broker: the start would wait for one.
    const proxy = await Promise.race([starting, aborted(stop)]);
    if (proxy) {
      await aborted(stop);
      await proxy.close(config.worker.drainMs);
    }
  } finally {
    await bus.close();
  }
};
