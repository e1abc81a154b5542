import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { accountFile, accountsInMemory } from './server/account-file.ts';
import { Accounts } from './server/accounts.ts';
import { BrokerServer, type BrokerServerOptions } from './server/server.ts';
import { openLedger } from './store/disk-ledger.ts';
import { createMemoryLedger } from './store/memory-ledger.ts';
import { openNodeDisk } from './store/node-disk.ts';

export interface EmbeddedBrokerOptions extends Omit<BrokerServerOptions, 'dir'> {
  /** Made 0700. Undefined: everything is in memory, and goes with the process. */
  readonly dir: string | undefined;
  /** Made, or given this password, as an administrator with all rights. */
  readonly account: { readonly user: string; readonly password: string };
  readonly version: string;
}

export interface EmbeddedBroker {
  readonly server: BrokerServer;
  readonly port: number;
  close(): Promise<void>;
}

const everything = { configure: '.*', write: '.*', read: '.*' };

/**
 * Starts an AMQP 0-9-1 broker in this process.
 * @throws Failure PORT_TAKEN, STORE_LOCKED, STORE_DAMAGED, DISK_FULL, DISK_ERROR, BROKER_ACCOUNT
 */
export async function startEmbeddedBroker(options: EmbeddedBrokerOptions, warn: (line: string) => void): Promise<EmbeddedBroker> {
  const { dir, account, version } = options;
  if (dir !== undefined) await mkdir(dir, { recursive: true, mode: 0o700 });
  const disk = dir === undefined ? undefined : await openNodeDisk(join(dir, 'log'));
  const opened = disk ? await openLedger(disk) : { ledger: createMemoryLedger(), recovered: undefined };
  const { ledger, recovered } = opened;
  if (recovered && recovered.cutBytes > 0) warn(`cut ${recovered.cutBytes} bytes of a write that was interrupted`);
  let server: BrokerServer | undefined;
  const accounts = new Accounts(dir === undefined ? accountsInMemory() : accountFile(join(dir, 'accounts.json')), (name, rights) => {
    for (const connection of server?.connections() ?? []) {
      if (connection.user !== name) continue;
      if (rights) connection.setRights(rights);
      else connection.close(`account '${name}' was removed`);
    }
  });
  try {
    await accounts.load();
    if (!(await accounts.verify(account.user, account.password))) {
      await accounts.put(account.user, { password: account.password, tags: ['administrator'] });
      await accounts.setPermission(account.user, everything);
    }
    server = new BrokerServer({ ledger, ...(recovered ? { recovered } : {}), accounts, version, warn }, { ...options, dir });
    const port = await server.listen();
    const running = server;
    return {
      server,
      port,
      close: async () => {
        await running.close();
        await disk?.close();
      },
    };
  } catch (error) {
    await ledger.close();
    await disk?.close();
    throw error;
  }
}
