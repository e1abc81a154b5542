import { resolve } from 'node:path';
import { createBus } from '../bus/amqp-bus.ts';
import { roles } from '../bus/topology.ts';
import type { Run } from '../cli/io.ts';
import type { Config } from '../config/config.ts';
import { aborted } from '../lib/stop.ts';
import { startProxy } from './proxy.ts';

/** Files are named from where the command was given. */
function withPaths(config: Config, cwd: string): Config {
  const { tlsCert, tlsKey } = config.proxy;
  if (tlsCert === undefined || tlsKey === undefined) return config;
  return { ...config, proxy: { ...config.proxy, tlsCert: resolve(cwd, tlsCert), tlsKey: resolve(cwd, tlsKey) } };
}

/** `warren proxy`: serves until `stop` aborts, then finishes what runs. */
export const run: Run = async (config, stop, io) => {
  const services = [...new Set(config.routes.map(route => route.service))];
  const role = roles.proxy(services, config.broker.queueType);
  const warn = (line: string): void => io.err(`proxy: ${line}\n`);
  const bus = createBus({ urls: config.broker.url, name: 'warren proxy', role }, warn);
  try {
    const starting = startProxy(
      { bus, write: io.out, warn, clock: () => performance.now() },
      withPaths(config, io.cwd),
    );
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
