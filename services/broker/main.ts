import { readFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import { join, resolve } from 'node:path';
import { createSecureContext } from 'node:tls';
import type { Io, Run } from '../cli/io.ts';
import type { Config } from '../config/config.ts';
import { claim } from '../lib/claim.ts';
import { Failure, messageOf } from '../lib/failure.ts';
import { aborted } from '../lib/stop.ts';
import { readVersion } from '../lib/version.ts';
import { type Account, keptAccount } from './account.ts';
import { type EmbeddedBrokerOptions, startEmbeddedBroker } from './broker.ts';
import { brokerDir, forgetWhereabouts, tellWhereabouts, urlOf } from './home.ts';

/** `warren broker`: the embedded broker as a process of its own. */
export const run: Run = async (config, stop, io) => {
  const { host, port, memory, httpHost, httpPort, memoryLimit, diskFreeLimit } = config.broker;
  const dir = await brokerDir(resolve(io.cwd, config.data.dir));
  const mine = await claim(join(dir, 'owner'));
  if ('heldBy' in mine) {
    throw new Failure(
      'BROKER_HELD',
      `process ${mine.heldBy} runs the broker of ${dir} already: stop that one, or choose another --data`,
    );
  }
  try {
    const tls = await readTls(config, io);
    const account = await accountOf(config, dir);
    const version = readVersion();
    const broker = await startEmbeddedBroker(
      {
        dir: memory ? undefined : dir,
        account,
        version,
        host,
        port,
        http: { host: httpHost, port: httpPort },
        diskFreeLimit,
        ...(memoryLimit === undefined ? {} : { memoryLimit }),
        ...(tls === undefined ? {} : { tls }),
      },
      line => io.err(`${line}\n`),
    );
    try {
      const scheme = tls === undefined ? 'amqp' : 'amqps';
      const http = urlOf('http', account, httpHost, broker.httpPort ?? httpPort);
      const url = urlOf(scheme, account, host, broker.port);
      await forgetWhereabouts(dir);
      await tellWhereabouts(dir, { url, http });
      const rows = [
        ['broker', `Warren ${version}, embedded, ${placeOf(url)}`],
        ['account', `${account.user}, ${account.file === undefined ? 'as given' : `its password in ${account.file}`}`],
        ['data', memory ? 'in memory only: it keeps nothing' : dir],
        ['http', `${placeOf(http)} (/livez /metrics /api/overview)`],
        ['for', 'one machine, a trial, a class, tests; production runs on RabbitMQ (docs/embedded-broker.md)'],
      ];
      for (const [what = '', text = ''] of rows) io.out(`  ${what.padEnd(10)} ${text}\n`);
      if (tls === undefined && !isLoopback(host))
        io.err(`passwords and messages reach ${host === '' ? 'all addresses' : host} unencrypted: give --tls-cert\n`);
      io.out('broker is up\n');
      await aborted(stop);
    } finally {
      await forgetWhereabouts(dir);
      await broker.close();
    }
  } finally {
    await mine.release();
  }
};

async function accountOf({ broker: { user, password } }: Config, dir: string): Promise<Account & { file?: string }> {
  return password === undefined ? keptAccount(dir, user) : { user, password };
}

async function readTls(
  { broker: { tlsCert, tlsKey, tlsCa } }: Config,
  io: Io,
): Promise<EmbeddedBrokerOptions['tls'] | undefined> {
  if (tlsCert === undefined || tlsKey === undefined) return undefined;
  const read = async (flag: string, file: string): Promise<Buffer> => {
    try {
      return await readFile(resolve(io.cwd, file));
    } catch (error) {
      throw new Failure('TLS_FILE', `${flag} ${file} cannot be read: ${messageOf(error)}`, { cause: error });
    }
  };
  const [cert, key] = [await read('--tls-cert', tlsCert), await read('--tls-key', tlsKey)];
  const tls = { cert, key, ...(tlsCa === undefined ? {} : { ca: await read('--tls-ca', tlsCa) }) };
  try {
    createSecureContext(tls);
  } catch (error) {
    throw new Failure('TLS_FILE', `--tls-cert ${tlsCert} and --tls-key ${tlsKey} do not serve: ${messageOf(error)}`, {
      cause: error,
    });
  }
  return tls;
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || (isIP(host) === 4 && host.startsWith('127.')) || host === '::1';
}

/** Without the account. */
function placeOf(url: string): string {
  const { protocol, host } = new URL(url);
  return `${protocol}//${host}`;
}
