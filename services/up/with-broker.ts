import { resolve } from 'node:path';
import type { Io, Run } from '../cli/io.ts';
import type { Config } from '../config/config.ts';
import type { BrokerChoice } from './choose-broker.ts';

/**
 * Runs a service on the broker that is configured, runs here already, or can be started here; stops the last with it.
 * @param asMember on a machine that has joined and has no broker configured: on the network's, as the member that it is
 */
export function withBroker(run: Run, { asMember = false }: { asMember?: boolean } = {}): Run {
  return async (config, stop, io) => {
    if (config.broker.url.length > 0) return run(config, stop, io);
    if (asMember) {
      const member = await (await import('./as-member.ts')).asMember(config, dataDirOf(config, io));
      if (member !== undefined) return run(member, stop, io);
    }
    const { chooseBroker } = await import('./choose-broker.ts');
    const broker = await chooseBroker({ ...choiceOf(config, io), signal: stop });
    try {
      const httpUrl = config.broker.httpUrl ?? (broker.http === undefined ? undefined : [broker.http]);
      await run({ ...config, broker: { ...config.broker, url: broker.urls, httpUrl } }, stop, io);
    } finally {
      await broker.close();
    }
  };
}

/** What was configured of the broker. */
export function choiceOf(config: Config, io: Io): BrokerChoice {
  const { url: urls, kind, memoryLimit, diskFreeLimit } = config.broker;
  const limits = { diskFreeLimit, ...(memoryLimit === undefined ? {} : { memoryLimit }) };
  return { urls, dataDir: dataDirOf(config, io), kind, limits, say: line => io.err(`${line}\n`) };
}

export function dataDirOf(config: Config, io: Io): string {
  return resolve(io.cwd, config.data.dir);
}
