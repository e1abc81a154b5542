import { chmod, open, readFile, rename } from 'node:fs/promises';
import { dirname } from 'node:path';
import { Failure, messageOf } from '../../lib/failure.ts';
import { syncDirectory } from '../store/sync-directory.ts';
import type { AccountStore, StoredAccount } from './accounts.ts';

/** Accounts in one JSON file, 0600, replaced whole. @throws Failure BROKER_ACCOUNT when it cannot be read */
export function accountFile(path: string): AccountStore {
  return {
    async load() {
      let text: string;
      try {
        text = await readFile(path, 'utf8');
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
        throw new Failure('BROKER_ACCOUNT', `cannot read the accounts in ${path}: ${messageOf(error)}`, {
          cause: error,
        });
      }
      try {
        const { accounts } = JSON.parse(text) as { accounts: StoredAccount[] };
        if (!Array.isArray(accounts)) throw new TypeError('there are none in it');
        return accounts;
      } catch (error) {
        throw new Failure('BROKER_ACCOUNT', `the accounts in ${path} are damaged: ${messageOf(error)}`, {
          cause: error,
        });
      }
    },
    async save(accounts) {
      const next = `${path}.new`;
      const file = await open(next, 'w', 0o600);
      try {
        await file.writeFile(`${JSON.stringify({ version: 1, accounts }, null, 1)}\n`);
        await file.sync();
      } finally {
        await file.close();
      }
      await chmod(next, 0o600);
      await rename(next, path);
      // Or a power cut brings back an account that was removed.
      await syncDirectory(dirname(path));
    },
  };
}

/** For `--memory`. */
export function accountsInMemory(): AccountStore {
  return { load: async () => [], save: async () => {} };
}
