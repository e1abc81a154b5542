import { resolve } from 'node:path';
import type { Io, Run } from '../cli/io.ts';
import type { Config } from '../config/config.ts';

/** Runs a service on the broker that is configured, runs here already, or can be started here; stops the last with it. */
export function withBroker(run: Run): Run {
  return async (config, stop, io) => {
    if (config.broker.url.length > 0) return run(config, stop, io);
    const { chooseBroker } = await import('./choose-broker.ts');
    const say = (line: string): void => io.err(`${line}\n`);
    const broker = await chooseBroker({ urls: [], dataDir: dataDirOf(config, io), say, signal: stop });
    try {
      await run({ ...config, broker: { ...config.broker, url: broker.urls } }, stop, io);
    } finally {
      await broker.close();
    }
  };
}

export function dataDirOf(config: Config, io: Io): string {
  return resolve(io.cwd, config.data.dir);
}
