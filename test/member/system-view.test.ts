import { setTimeout as wait } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { Figures, ProxyAnnounce } from '../../proto/gen/warren/proxy/v1/job.ts';
import { Changes } from '../../services/lib/changes.ts';
import { ProxyTable } from '../../services/member/proxies.ts';
import { ReachRecord } from '../../services/member/reach.ts';

describe('changes', () => {
  test('are seen at once, the first look before any, and however many there are, not more often than was said', async () => {
    const changes = new Changes();
    const ending = new AbortController();
    let value = 0;
    const seen: number[] = [];
    const watching = (async () => {
      for await (const each of changes.watch(() => value, 100, ending.signal)) seen.push(each);
    })();
    await wait(150);
    expect(seen).toEqual([0]);
    value = 1;
    changes.happened();
    await wait(0);
    expect(seen).toEqual([0, 1]);
    const until = performance.now() + 450;
    while (performance.now() < until) {
      value++;
      changes.happened();
      await wait(1);
    }
    await wait(150);
    expect(seen.length).toBeLessThanOrEqual(8);
    // The last state is never kept back.
    expect(seen.at(-1)).toBe(value);
    ending.abort();
    await watching;
  });
});

describe('the record of what can be reached', () => {
  test('says since when, keeps the last latency while it is up, and the reason while it is not', () => {
    let now = 0;
    let changed = 0;
    const record = new ReachRecord(
      () => now,
      () => changed++,
    );
    expect(record.now()).toEqual({ up: false, reason: 'not tried yet', sinceMs: 0n });
    now = 1_000;
    record.reached(5);
    now = 3_000;
    record.reached();
    expect(record.now()).toEqual({ up: true, reason: '', sinceMs: 2_000n, latencyMs: 5 });
    record.lost('gone');
    now = 4_000;
    expect(record.now()).toEqual({ up: false, reason: 'gone', sinceMs: 1_000n });
    const before = changed;
    record.lost('gone');
    expect(changed).toBe(before);
    record.lost('refused');
    expect(record.now()).toEqual({ up: false, reason: 'refused', sinceMs: 1_000n });
  });
});

describe('the proxies', () => {
  const announce = (proxy: string, more: Partial<ProxyAnnounce> = {}) => ({
    type: 'warren.proxy.v1.ProxyAnnounce',
    body: Buffer.from(
      ProxyAnnounce.encode(
        ProxyAnnounce.create({ proxy, leaseMs: 3_000, figures: Figures.create({}), ...more }),
      ).finish(),
    ),
  });

  test('are there while their lease runs, and go when they say so', () => {
    const table = new ProxyTable();
    expect(table.heard(announce('b'), 0)).toBe(true);
    expect(table.heard(announce('a'), 1_000)).toBe(true);
    expect(table.all().map(({ proxy }) => proxy)).toEqual(['a', 'b']);
    expect(table.expire(2_999)).toBe(false);
    expect(table.expire(3_000)).toBe(true);
    expect(table.heard(announce('a', { leaving: true }), 3_001)).toBe(true);
    expect(table.all()).toEqual([]);
  });

  test('are 64 at most, for a minute at most, whatever is announced; what is no announcement changes nothing', () => {
    const table = new ProxyTable();
    for (let at = 0; at < 1_000; at++) table.heard(announce(`p${at}`, { leaseMs: 2 ** 31 }), 0);
    expect(table.all()).toHaveLength(64);
    table.expire(60_000);
    expect(table.all()).toEqual([]);
    for (const [type, body] of [
      ['warren.proxy.v1.ProxyAnnounce', Buffer.from([0xff])],
      ['warren.proxy.v1.WorkerAnnounce', announce('x').body],
      ['warren.proxy.v1.ProxyAnnounce', announce('').body],
      ['warren.proxy.v1.ProxyAnnounce', announce('x'.repeat(65)).body],
    ] as const)
      expect(table.heard({ type, body }, 0)).toBe(false);
  });
});
