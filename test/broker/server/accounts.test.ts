import { expect, test } from 'vitest';
import { type AccountStore, Accounts } from '../../../services/broker/server/accounts.ts';

const all = { configure: '.*', write: '.*', read: '.*' };

/** Accounts whose store fails while the test says so, with one in it. */
async function accountsWith(name: string): Promise<{
  accounts: Accounts;
  store: AccountStore & { isFull: boolean };
  changes: [string, boolean][];
}> {
  const store = {
    isFull: false,
    load: async () => [],
    save: async () => {
      if (store.isFull) throw new Error('no space left');
    },
  };
  const changes: [string, boolean][] = [];
  const accounts = new Accounts(store, (who, rights) => void changes.push([who, rights !== undefined]));
  await accounts.put(name, { password: 'secret', tags: [] });
  await accounts.setPermission(name, all);
  changes.length = 0;
  return { accounts, store, changes };
}

test('a change that cannot be kept is undone, and can be asked for again', async () => {
  const { accounts, store, changes } = await accountsWith('ann');
  store.isFull = true;
  await expect(accounts.delete('ann')).rejects.toThrow('no space left');
  await expect(accounts.setPermission('ann', undefined)).rejects.toThrow('no space left');
  await expect(accounts.put('bob', { password: 'x', tags: [] })).rejects.toThrow('no space left');
  expect(changes).toEqual([]);
  expect((await accounts.login('ann', 'secret'))?.rights).toBeDefined();
  expect(accounts.find('bob')).toBeUndefined();
  store.isFull = false;
  expect(await accounts.delete('ann')).toBe(true);
  expect(changes).toEqual([['ann', false]]);
});

test('rights given while a password is checked count, and are no reason to refuse it', async () => {
  const { accounts } = await accountsWith('ann');
  // Its password is not known as verified.
  await accounts.put('ann', { tags: [] });
  const login = accounts.login('ann', 'secret');
  await accounts.setPermission('ann', { ...all, write: '' });
  expect((await login)?.rights?.may('write', 'x')).toBe(false);
});

test('nothing is derived for who has hung up', async () => {
  const { accounts } = await accountsWith('ann');
  await accounts.put('ann', { tags: [] });
  const start = performance.now();
  const gone = Array.from({ length: 1_000 }, () => accounts.login('ann', 'guess', () => false));
  // Behind all of them.
  expect(await accounts.login('ann', 'secret')).toBeDefined();
  expect(performance.now() - start).toBeLessThan(5_000);
  expect(new Set(await Promise.all(gone))).toEqual(new Set([undefined]));
});
