import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { LeaseTable, mayAct } from '../../services/lib/lease.ts';

const leaseMs = 3_000;

describe('a lease', () => {
  test('lives from its renewal up to, and not at, its end', () => {
    const leases = new LeaseTable();
    expect(leases.isLive('a', 0)).toBe(false);
    leases.renew('a', leaseMs, 1_000);
    expect(leases.isLive('a', 1_000)).toBe(true);
    expect(leases.isLive('a', 3_999.9)).toBe(true);
    expect(leases.isLive('a', 4_000)).toBe(false);
  });

  test('is new at first, and again when it had ended, and not when it is renewed in time', () => {
    const leases = new LeaseTable();
    expect(leases.renew('a', leaseMs, 0)).toBe(true);
    expect(leases.renew('a', leaseMs, 2_999)).toBe(false);
    expect(leases.renew('a', leaseMs, 5_999)).toBe(true);
    leases.end('a');
    expect(leases.renew('a', leaseMs, 6_000)).toBe(true);
  });

  test('counts from its latest renewal, also when that one is shorter', () => {
    const leases = new LeaseTable();
    leases.renew('a', leaseMs, 0);
    leases.renew('a', 100, 10);
    expect(leases.isLive('a', 110)).toBe(false);
  });

  test('that was given back is over at once', () => {
    const leases = new LeaseTable();
    leases.renew('a', leaseMs, 0);
    expect(leases.end('a')).toBe(true);
    expect(leases.end('a')).toBe(false);
    expect(leases.isLive('a', 1)).toBe(false);
    expect(leases.expire(10_000)).toEqual([]);
  });

  test('that ended is told once, and those that live stay', () => {
    const leases = new LeaseTable();
    leases.renew('a', 100, 0);
    leases.renew('b', 200, 0);
    leases.renew('c', 100, 0);
    expect(leases.expire(99)).toEqual([]);
    expect(leases.expire(100).sort()).toEqual(['a', 'c']);
    expect(leases.expire(100)).toEqual([]);
    expect(leases.holders()).toEqual(['b']);
  });
});

test('a holder stops acting no later than any watcher gives it up, however long its renewal was on the way', () => {
  fc.assert(
    fc.property(
      fc.nat(10_000),
      fc.nat(10_000),
      fc.integer({ min: 1, max: 10_000 }),
      fc.nat(30_000),
      (sentAt, way, lease, later) => {
        const leases = new LeaseTable();
        leases.renew('a', lease, sentAt + way);
        const now = sentAt + later;
        // What the holder may still do, the watcher still grants it (once it has heard of it at all).
        if (mayAct(sentAt, lease, now)) expect(leases.isLive('a', now)).toBe(true);
      },
    ),
  );
});

test('a holder may act for less than its lease', () => {
  expect(mayAct(1_000, leaseMs, 1_000)).toBe(true);
  expect(mayAct(1_000, leaseMs, 3_999)).toBe(true);
  expect(mayAct(1_000, leaseMs, 4_000)).toBe(false);
});
