import { afterEach, beforeEach, expect, onTestFinished, test, vi } from 'vitest';
import type { BrokerAccounts } from '../../services/bus/accounts/accounts.ts';
import { AccountKeeper } from '../../services/directory/account-keeper.ts';

/** Time is the test's: when the broker is asked again is what this is about. */
beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

function keeping() {
  const asked: number[] = [];
  const warned: string[] = [];
  const state = { problem: undefined as string | undefined };
  const accounts: BrokerAccounts = {
    place: 'a test',
    list: async () => {
      asked.push(Date.now());
      if (state.problem !== undefined) throw new Error(state.problem);
      return [];
    },
    put: async () => {},
    setRights: async () => {},
    remove: async () => {},
  };
  const options = { everyMs: 60_000, retry: { firstMs: 1_000, maxMs: 30_000 } };
  const keeper = new AccountKeeper({ accounts, desired: () => [], warn: line => warned.push(line) }, options);
  onTestFinished(() => keeper.close());
  return { keeper, asked, warned, state };
}

test('a broker that fails is asked again, later each time and twice a minute in the end; told once, and once that it is over', async () => {
  const { keeper, asked, warned, state } = keeping();
  state.problem = 'no answer';
  await expect(keeper.sync()).rejects.toThrow('no answer');
  await vi.advanceTimersByTimeAsync(300_000);
  const waits = asked.slice(1).map((at, index) => at - (asked[index] ?? 0));
  for (const [attempt, waited] of waits.entries()) {
    const ceiling = Math.min(1_000 * 2 ** attempt, 30_000);
    expect(waited).toBeGreaterThanOrEqual(ceiling / 2);
    expect(waited).toBeLessThanOrEqual(ceiling);
  }
  expect(waits.length).toBeGreaterThanOrEqual(10);
  expect(warned).toEqual(['cannot keep the accounts of members on the broker: no answer']);

  state.problem = 'another';
  await vi.advanceTimersByTimeAsync(30_000);
  state.problem = undefined;
  await vi.advanceTimersByTimeAsync(30_000);
  expect(warned.slice(1)).toEqual([
    'cannot keep the accounts of members on the broker: another',
    'the accounts of members are in step with the broker again',
  ]);
  // From then on at its leisure, and from the beginning when it fails again.
  asked.length = 0;
  await vi.advanceTimersByTimeAsync(180_000);
  expect(asked.length).toBeLessThanOrEqual(3);
  state.problem = 'once more';
  asked.length = 0;
  keeper.wake();
  await vi.advanceTimersByTimeAsync(1_000);
  expect(asked).toHaveLength(2);
});

test('who asks while it waits is not kept waiting', async () => {
  const { keeper, asked, state } = keeping();
  state.problem = 'no answer';
  for (let i = 0; i < 10; i++) await expect(keeper.sync()).rejects.toThrow('no answer');
  expect(asked).toHaveLength(10);
  state.problem = undefined;
  await keeper.sync();
  await keeper.close();
  await vi.advanceTimersByTimeAsync(600_000);
  expect(asked).toHaveLength(11);
});
