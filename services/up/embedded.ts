import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Account } from '../broker/account.ts';
import { type EmbeddedBroker, type EmbeddedBrokerOptions, startEmbeddedBroker } from '../broker/broker.ts';
import { urlOf, type Whereabouts } from '../broker/home.ts';
import { Failure } from '../lib/failure.ts';
import { replaceFile } from '../lib/replace-file.ts';
import { readVersion } from '../lib/version.ts';
import { freePort } from './free-port.ts';

export type EmbeddedLimits = Pick<EmbeddedBrokerOptions, 'memoryLimit' | 'diskFreeLimit'>;

const host = '127.0.0.1';

/**
 * Starts the embedded broker in this process, for this machine only: on the port that it had the last time in this
 * directory if that is free, so that whoever was connected finds it again.
 * @throws Failure STORE_LOCKED, STORE_DAMAGED, DISK_FULL, DISK_ERROR, BROKER_ACCOUNT
 */
export async function startEmbedded(
  { dir, account, limits }: { dir: string; account: Account; limits: EmbeddedLimits },
  warn: (line: string) => void,
): Promise<Whereabouts & { readonly describe: string; close(): Promise<void> }> {
  const version = readVersion();
  const portFile = join(dir, 'port');
  const start = (port: number): Promise<EmbeddedBroker> =>
    startEmbeddedBroker({ ...limits, dir, account, version, host, port, http: { host, port: 0 } }, warn);
  const before = Number(await readFile(portFile, 'utf8').catch(() => ''));
  const isUsable = Number.isInteger(before) && before > 0 && before < 65_536;
  const broker = await start(isUsable ? before : await freePort()).catch(async error => {
    if (!(error instanceof Failure && error.code === 'PORT_TAKEN')) throw error;
    return start(await freePort());
  });
  if (broker.port !== before) await replaceFile(portFile, `${broker.port}\n`);
  return {
    url: urlOf('amqp', account, host, broker.port),
    http: urlOf('http', account, host, broker.httpPort ?? 0),
    describe: `Warren ${version}, embedded in this process, ${host}:${broker.port}, data in ${dir}; production runs on RabbitMQ`,
    close: () => broker.close(),
  };
}
