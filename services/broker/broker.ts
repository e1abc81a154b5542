import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Account } from './account.ts';
import { accountFile, accountsInMemory } from './server/account-file.ts';
import { Accounts } from './server/accounts.ts';
import { takeCleanMark } from './server/clean-mark.ts';
import { type HttpApi, startHttpApi } from './server/http.ts';
import { BrokerServer, type BrokerServerOptions } from './server/server.ts';
import { openLedger } from './store/disk-ledger.ts';
import { createMemoryLedger } from './store/memory-ledger.ts';
import { openNodeDisk } from './store/node-disk.ts';

export interface EmbeddedBrokerOptions extends Omit<BrokerServerOptions, 'dir'> {
  /** Made 0700. Undefined: everything is in memory, and goes with the process. */
  readonly dir: string | undefined;
  /** Made, or given this password, as an administrator with all rights. */
  readonly account: Account;
  /** Where its HTTP API is; undefined: it has none. */
  readonly http?: { readonly host: string; readonly port: number } | undefined;
  readonly version: string;
}

export interface EmbeddedBroker {
  readonly server: BrokerServer;
  readonly port: number;
  /** Undefined without an HTTP API. */
  readonly httpPort: number | undefined;
  close(): Promise<void>;
}

const everything = { configure: '.*', write: '.*', read: '.*' };

/**
 * Starts an AMQP 0-9-1 broker in this process.
 * @throws Failure PORT_TAKEN, STORE_LOCKED, STORE_DAMAGED, DISK_FULL, DISK_ERROR, BROKER_ACCOUNT
 */
export async function startEmbeddedBroker(
  options: EmbeddedBrokerOptions,
  warn: (line: string) => void,
): Promise<EmbeddedBroker> {
  const { dir, account, http, version } = options;
  /** In order of their starts. */
  const ends: (() => Promise<void>)[] = [];
  const close = async (): Promise<void> => {
    const failures: unknown[] = [];
    for (let end = ends.pop(); end; end = ends.pop()) await end().catch(error => failures.push(error));
    if (failures.length > 0) throw failures[0];
  };
  let server: BrokerServer | undefined;
  const store = dir === undefined ? accountsInMemory() : accountFile(join(dir, 'accounts.json'));
  const accounts = new Accounts(store, (name, rights) => {
    for (const connection of server?.connections() ?? []) {
      if (connection.user !== name) continue;
      if (rights) connection.setRights(rights);
      else connection.close(`account '${name}' was removed`);
    }
  });
  try {
    if (dir !== undefined) await mkdir(dir, { recursive: true, mode: 0o700 });
    const disk = dir === undefined ? undefined : await openNodeDisk(join(dir, 'log'));
    if (disk) ends.push(() => disk.close());
    // Deriving a key takes a while, and another thread.
    const prepared = prepare(accounts, account);
    prepared.catch(() => {});
    const wasClean = dir !== undefined && (await takeCleanMark(dir));
    const { ledger, recovered } = disk
      ? await openLedger(disk)
      : { ledger: createMemoryLedger(), recovered: undefined };
    const closeLedger = (): Promise<void> => ledger.close();
    ends.push(closeLedger);
    await prepared;
    if (recovered && recovered.cutBytes > 0) warn(`cut ${recovered.cutBytes} bytes of a write that was interrupted`);
    const started = new BrokerServer(
      { ledger, ...(recovered ? { recovered, wasClean } : {}), accounts, version, warn },
      { ...options, dir },
    );
    server = started;
    const port = await started.listen();
    // It closes the ledger itself.
    ends.splice(ends.indexOf(closeLedger), 1, () => started.close());
    let api: HttpApi | undefined;
    if (http) {
      api = await startHttpApi(started, { ...http, amqp: `${options.host}:${port}` });
      ends.push(api.close);
    }
    return { server: started, port, httpPort: api?.port, close };
  } catch (error) {
    await close().catch(() => {});
    throw error;
  }
}

/** Sees to it that the account is there, with this password. @throws Failure BROKER_ACCOUNT */
async function prepare(accounts: Accounts, { user, password }: Account): Promise<void> {
  await accounts.load();
  const isKnown = accounts.find(user) !== undefined;
  if (isKnown && (await accounts.verify(user, password))) return;
  await accounts.put(user, { password, tags: ['administrator'] });
  await accounts.setPermission(user, everything);
}
