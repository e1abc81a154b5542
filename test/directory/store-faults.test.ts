import { DatabaseSync } from 'node:sqlite';
import { expect, test, vi } from 'vitest';
import type { AccountSpec, BrokerAccounts, PresentAccount } from '../../services/bus/accounts/accounts.ts';
import { memberAccount } from '../../services/bus/accounts/specs.ts';
import type { Bus, BusState } from '../../services/bus/bus.ts';
import { AccountKeeper } from '../../services/directory/account-keeper.ts';
import type { RevocationFeed } from '../../services/directory/revocation-feed.ts';
import type { DirectoryStore } from '../../services/directory/store.ts';
import { watchStore } from '../../services/directory/store-watch.ts';
import { createMemberKeys } from '../../services/lib/identity/keys.ts';
import { transaction } from '../../services/lib/sqlite.ts';

test('what SQLite has undone itself is told as it was, and the next transaction begins', () => {
  using db = new DatabaseSync(':memory:');
  db.exec('CREATE TABLE t (x INTEGER PRIMARY KEY)');
  const full = (): void => {
    // As SQLite does it on a full disk.
    db.exec('ROLLBACK');
    throw new Error('database or disk is full');
  };
  expect(() => transaction(db, full)).toThrow('database or disk is full');
  expect(transaction(db, () => 1)).toBe(1);
});

test('a store that cannot be read is told of once, ends nothing, and what it said meanwhile is carried afterwards', async () => {
  vi.useFakeTimers();
  const warnings: string[] = [];
  let listener: (state: BusState) => void = () => {};
  let isBroken = false;
  let version = 1;
  let told = 0;
  const broken = (): void => {
    if (isBroken) throw new Error('disk I/O error');
  };
  const end = watchStore({
    store: {
      version: () => version,
    } as DirectoryStore,
    bus: {
      onState: (given: typeof listener) => {
        listener = given;
        return () => {};
      },
    } as unknown as Bus,
    keeper: undefined,
    feed: {
      tell: async () => {
        broken();
        told++;
      },
    } as unknown as RevocationFeed,
    warn: line => void warnings.push(line),
  });
  try {
    isBroken = true;
    expect(() => listener('up')).not.toThrow();
    version = 2;
    await vi.advanceTimersByTimeAsync(2_000);
    expect(warnings).toEqual(['cannot read the store: disk I/O error']);
    isBroken = false;
    const before = told;
    await vi.advanceTimersByTimeAsync(300);
    expect(told).toBeGreaterThan(before);
  } finally {
    end();
    vi.useRealTimers();
  }
});

test('an account that another process makes while the broker is being looked at stays', async () => {
  const spec = memberAccount(createMemberKeys().id, 'hash', []);
  const desired: AccountSpec[] = [];
  const removed: string[] = [];
  const accounts: BrokerAccounts = {
    place: 'here',
    list: async prefix => {
      // `warren invite` in another process: first the store, then the broker.
      if (!desired.includes(spec)) desired.push(spec);
      const present: PresentAccount[] = [spec];
      return present.filter(({ name }) => name.startsWith(prefix));
    },
    put: async () => {},
    setRights: async () => {},
    remove: async name => void removed.push(name),
  };
  const keeper = new AccountKeeper(
    { accounts, desired: () => [...desired], warn: () => {} },
    { everyMs: 60_000, retry: { firstMs: 1, maxMs: 1 } },
  );
  await keeper.sync();
  await keeper.close();
  expect(removed).toEqual([]);
});
