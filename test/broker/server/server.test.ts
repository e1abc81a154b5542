import { expect, onTestFinished, test, vi } from 'vitest';
import { accountsInMemory } from '../../../services/broker/server/account-file.ts';
import { Accounts } from '../../../services/broker/server/accounts.ts';
import { BrokerServer } from '../../../services/broker/server/server.ts';
import { createMemoryLedger } from '../../../services/broker/store/memory-ledger.ts';
import { Failure } from '../../../services/lib/failure.ts';

/** A server whose ledger fails when the test says so. */
function brokenServer(): { server: BrokerServer; fail(code: string): void; resume(): void; warnings: string[] } {
  let fail = (_failure: Failure): void => {};
  let resume = (): void => {};
  const ledger = Object.assign(createMemoryLedger(), {
    onError: (listener: typeof fail) => {
      fail = listener;
    },
    onResume: (listener: typeof resume) => {
      resume = listener;
    },
  });
  const accounts = new Accounts(accountsInMemory(), () => {});
  const warnings: string[] = [];
  const server = new BrokerServer(
    { ledger, accounts, version: '0.0.0', warn: line => void warnings.push(line) },
    { host: '127.0.0.1', port: 0 },
  );
  return { server, fail: code => fail(new Failure(code, code)), resume: () => resume(), warnings };
}

test.for(['DISK_FULL', 'DISK_ERROR'])('a ledger that cannot write (%s) blocks publishers until it can', code => {
  const { server, fail, resume } = brokenServer();
  fail(code);
  expect(server.alarm).toBe(code);
  resume();
  expect(server.alarm).toBeUndefined();
});

test.for(['CLEANING_FAILED', 'STORE_DAMAGED'])(
  'a ledger that only cannot clean (%s) is told of, and confirms as before',
  code => {
    const { server, fail, warnings } = brokenServer();
    fail(code);
    expect([server.alarm, warnings]).toEqual([undefined, [code]]);
  },
);

test('patience is not measured by the time of day, which may be set', () => {
  const { server } = brokenServer();
  onTestFinished(() => void vi.useRealTimers());
  const before = server.now();
  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() - 3_600_000 });
  expect(server.now()).toBeGreaterThanOrEqual(before);
  vi.setSystemTime(Date.now() + 7_200_000);
  expect(server.now() - before).toBeLessThan(60_000);
});
