import { describe, expect, test } from 'vitest';
import type { Disk } from '../../../services/broker/store/disk.ts';
import { openLedger } from '../../../services/broker/store/disk-ledger.ts';
import type { Ledger } from '../../../services/broker/store/ledger.ts';
import { createMemoryLedger } from '../../../services/broker/store/memory-ledger.ts';
import { seededRandom } from '../../support/seeded.ts';
import { messageWith, numbered } from './messages.ts';
import { SimulatedDisk } from './simulated-disk.ts';

const all = { maxCount: 1_000, maxBytes: 1e9 };
const synced = (ledger: Ledger): Promise<void> => new Promise(resolve => ledger.sync(resolve));

async function openOn(disk: SimulatedDisk, options: Parameters<typeof openLedger>[1] = {}) {
  return await openLedger(disk, { salt: () => 7, ...options });
}

describe.each<[name: string, open: () => Promise<Ledger>]>([
  ['in memory', async () => createMemoryLedger()],
  ['on disk', async () => (await openOn(new SimulatedDisk(seededRandom(1)))).ledger],
  [
    'on disk, without a cache',
    async () => (await openOn(new SimulatedDisk(seededRandom(2)), { cacheBytes: 0 })).ledger,
  ],
])('a ledger %s', (_name, open) => {
  async function withStream(entries: number): Promise<Ledger> {
    const ledger = await open();
    ledger.putQueue({ name: 'log' });
    for (let i = 0; i < entries; i++) ledger.appendStream('log', i, 1_000 + 10 * i, numbered(i));
    return ledger;
  }

  test('calls back in the order of the calls, and never before it returns', async () => {
    const ledger = await open();
    ledger.putQueue({ name: 'q' });
    const seen: string[] = [];
    ledger.sync(() => seen.push('first'));
    ledger.putMessage('q', 0, numbered(0));
    const second = new Promise<void>(resolve =>
      ledger.sync(() => {
        seen.push('second');
        ledger.sync(() => {
          seen.push('third');
          resolve();
        });
        seen.push('still second');
      }),
    );
    expect(seen).toEqual([]);
    await second;
    expect(seen).toEqual(['first', 'second', 'still second', 'third']);
  });

  test('reads a stream from any offset, within the limits and at least one entry', async () => {
    const ledger = await withStream(10);
    const offsets = async (from: number, limits = all): Promise<number[]> =>
      (await ledger.readStream('log', from, limits)).map(({ offset }) => offset);
    expect(await offsets(0)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    expect(await offsets(7)).toEqual([7, 8, 9]);
    expect(await offsets(10)).toEqual([]);
    expect(await offsets(2, { maxCount: 3, maxBytes: 1e9 })).toEqual([2, 3, 4]);
    expect(await offsets(2, { maxCount: 3, maxBytes: 1 })).toEqual([2]);
    const [entry] = await ledger.readStream('log', 4, all);
    expect(entry).toEqual({ offset: 4, timestampMs: 1_040, message: numbered(4) });
  });

  test('forgets what a stream is truncated to, and keeps counting', async () => {
    const ledger = await withStream(5);
    ledger.truncateStream('log', 3);
    expect((await ledger.readStream('log', 0, all)).map(({ offset }) => offset)).toEqual([3, 4]);
    expect(ledger.streamState('log')).toMatchObject({
      firstOffset: 3,
      nextOffset: 5,
      firstTimestampMs: 1_030,
      lastTimestampMs: 1_040,
    });
    ledger.truncateStream('log', 99);
    expect(await ledger.readStream('log', 0, all)).toEqual([]);
    expect(ledger.streamState('log')).toMatchObject({ firstOffset: 5, nextOffset: 5, bytes: 0 });
    ledger.appendStream('log', 5, 2_000, numbered(5));
    expect((await ledger.readStream('log', 0, all)).map(({ offset }) => offset)).toEqual([5]);
  });

  test('finds the offset of a time, and the one to keep so many bytes', async () => {
    const ledger = await withStream(10);
    expect(ledger.streamOffsetSince('log', 0)).toBe(0);
    expect(ledger.streamOffsetSince('log', 1_030)).toBe(3);
    expect(ledger.streamOffsetSince('log', 1_031)).toBe(4);
    expect(ledger.streamOffsetSince('log', 9_999)).toBe(10);
    const bytes = ledger.streamState('log')?.bytes ?? 0;
    expect(ledger.streamOffsetKeeping('log', bytes)).toBe(0);
    expect(ledger.streamOffsetKeeping('log', bytes / 2)).toBe(5);
    expect(ledger.streamOffsetKeeping('log', 0)).toBe(10);
  });

  test('does not let timestamps of a stream descend when the clock is set back', async () => {
    const ledger = await withStream(2);
    ledger.appendStream('log', 2, 5, numbered(2));
    const entries = await ledger.readStream('log', 0, all);
    expect(entries.map(({ timestampMs }) => timestampMs)).toEqual([1_000, 1_010, 1_010]);
  });

  test('refuses an entry that is not the next of its stream', async () => {
    const ledger = await withStream(2);
    expect(() => ledger.appendStream('log', 3, 5, numbered(3))).toThrow('is at 2, not 3');
  });
});

test('gives everything back after a restart, messages by index', async () => {
  const disk = new SimulatedDisk(seededRandom(3));
  const { ledger, recovered } = await openOn(disk);
  expect(recovered).toMatchObject({ exchanges: [], queues: [], bindings: [], cutBytes: 0 });
  ledger.putExchange({ name: 'x', type: 'topic' });
  ledger.putExchange({ name: 'gone', type: 'topic' });
  ledger.putQueue({ name: 'q', arguments: { 'x-max-length': 5 } });
  ledger.putQueue({ name: 'gone' });
  ledger.putBinding({ exchange: 'x', queue: 'q', key: 'a' });
  ledger.putBinding({ exchange: 'x', queue: 'q', key: 'b' });
  ledger.putBinding({ exchange: 'gone', queue: 'q', key: 'a' });
  ledger.deleteBinding({ exchange: 'x', queue: 'q', key: 'b' });
  ledger.putMessage('gone', 0, numbered(0));
  const large = messageWith({
    key: 'ключ',
    properties: Buffer.alloc(20_000, 1),
    body: Buffer.alloc(70_000, 2),
    expiresAt: 5,
  });
  const empty = messageWith({ exchange: '', key: '', properties: Buffer.alloc(0), body: Buffer.alloc(0) });
  ledger.putMessage('q', 3, large);
  ledger.putMessage('q', 4, numbered(4));
  ledger.putMessage('q', 900, empty);
  ledger.setDeliveryCount('q', 900, 2);
  ledger.settle('q', 4);
  ledger.settle('q', 5);
  ledger.deleteQueue('gone');
  ledger.deleteExchange('gone');
  await ledger.close();

  const again = await openOn(disk.crash());
  expect(again.recovered).toEqual({
    exchanges: [{ name: 'x', type: 'topic' }],
    queues: [{ name: 'q', arguments: { 'x-max-length': 5 } }],
    bindings: [{ exchange: 'x', queue: 'q', key: 'a' }],
    messages: new Map([
      [
        'q',
        [
          { index: 3, message: large, deliveryCount: 0 },
          { index: 900, message: empty, deliveryCount: 2 },
        ],
      ],
    ]),
    streams: new Map(),
    cutBytes: 0,
  });
});

test('a queue that is made again under the same name starts empty', async () => {
  const disk = new SimulatedDisk(seededRandom(4));
  const { ledger } = await openOn(disk);
  ledger.putQueue({ name: 'q' });
  ledger.putMessage('q', 0, numbered(0));
  ledger.deleteQueue('q');
  ledger.putQueue({ name: 'q' });
  await ledger.close();
  const { recovered } = await openOn(disk.crash());
  expect(recovered.queues).toEqual([{ name: 'q' }]);
  expect(recovered.messages.size).toBe(0);
});

test('a queue that nobody put, and a name that is too long, are refused', async () => {
  const { ledger } = await openOn(new SimulatedDisk(seededRandom(5)));
  expect(() => ledger.putMessage('q', 0, numbered(0))).toThrow('knows no queue q');
  ledger.putQueue({ name: 'q' });
  for (const key of ['x'.repeat(256), '€'.repeat(86), '🐇'.repeat(64)]) {
    expect(() => ledger.putMessage('q', 0, messageWith({ key }))).toThrow(
      expect.objectContaining({ code: 'NAME_TOO_LONG' }),
    );
  }
  ledger.putMessage('q', 0, messageWith({ key: '🐇'.repeat(63) }));
});

test('cleaning keeps the log near the size of what is alive', async () => {
  const disk = new SimulatedDisk(seededRandom(6));
  const { ledger } = await openOn(disk, { segmentBytes: 10_000, garbageBytes: 30_000 });
  ledger.putQueue({ name: 'q' });
  ledger.putQueue({ name: 'log' });
  ledger.putMessage('q', 0, numbered(0));
  for (let i = 1; i <= 2_000; i++) {
    ledger.putMessage('q', i, messageWith({ body: Buffer.alloc(200, i) }));
    ledger.appendStream('log', i - 1, i, numbered(i));
    if (i > 10) ledger.settle('q', i - 10);
    ledger.truncateStream('log', i - 50);
    if (i % 10 === 0) await synced(ledger);
  }
  while (ledger.stats.bytesOnDisk > 60_000) await synced(ledger);
  await ledger.close();
  expect(await disk.list()).not.toContain('00000001.log');
  const { recovered } = await openOn(disk.crash());
  expect(recovered.messages.get('q')?.map(({ index }) => index)).toEqual([
    0,
    ...Array.from({ length: 10 }, (_, i) => 1991 + i),
  ]);
  expect(recovered.streams.get('log')).toMatchObject({ firstOffset: 1_950, nextOffset: 2_000 });
});

test('a reader of old entries is not disturbed when their segment is cleaned away', async () => {
  const disk = new SimulatedDisk(seededRandom(7));
  const { ledger } = await openOn(disk, { segmentBytes: 2_000, garbageBytes: 4_000, cacheBytes: 0 });
  ledger.putQueue({ name: 'q' });
  ledger.putQueue({ name: 'log' });
  for (let i = 0; i < 40; i++) ledger.appendStream('log', i, i, numbered(i));
  await synced(ledger);
  const reads: Promise<void>[] = [];
  for (let i = 0; i < 400; i++) {
    ledger.putMessage('q', i, numbered(i));
    ledger.settle('q', i);
    reads.push(
      Promise.resolve(ledger.readStream('log', 0, all)).then(entries => {
        expect(entries.map(({ message }) => message)).toEqual(Array.from({ length: 40 }, (_, n) => numbered(n)));
      }),
    );
    if (i % 3 === 0) await synced(ledger);
  }
  await Promise.all(reads);
  expect(await disk.list()).not.toContain('00000001.log');
});

test('whatever is said in one turn shares one sync, and what comes meanwhile the next', async () => {
  const { ledger } = await openOn(new SimulatedDisk(seededRandom(9)));
  ledger.putQueue({ name: 'q' });
  const waits: Promise<void>[] = [];
  for (let i = 0; i < 100; i++) {
    ledger.putMessage('q', i, numbered(i));
    waits.push(synced(ledger));
  }
  await new Promise(resolve => setImmediate(resolve));
  for (let i = 100; i < 200; i++) {
    ledger.putMessage('q', i, numbered(i));
    waits.push(synced(ledger));
  }
  await Promise.all(waits);
  expect(ledger.stats.syncs).toBe(2);
});

test('the newest entries of a stream are read at once, older ones from disk', async () => {
  const { ledger } = await openOn(new SimulatedDisk(seededRandom(10)), { streamCacheBytes: 5_000 });
  ledger.putQueue({ name: 'log' });
  for (let i = 0; i < 100; i++) ledger.appendStream('log', i, i, numbered(i));
  expect(ledger.readStream('log', 95, all)).toHaveLength(5);
  const older = ledger.readStream('log', 10, all);
  expect(older).toBeInstanceOf(Promise);
  expect((await older).map(({ offset }) => offset)).toEqual(Array.from({ length: 90 }, (_, i) => 10 + i));
});

test('what is not written yet can be read too', async () => {
  const { ledger } = await openOn(new SimulatedDisk(seededRandom(8)), { cacheBytes: 0, segmentBytes: 500 });
  ledger.putQueue({ name: 'log' });
  const messages = Array.from({ length: 20 }, (_, i) => messageWith({ body: Buffer.alloc(i * 2_000, i) }));
  for (const [i, message] of messages.entries()) {
    ledger.appendStream('log', i, i, message);
    if (i === 10) await synced(ledger);
  }
  const entries = await ledger.readStream('log', 0, all);
  expect(entries.map(({ message }) => message)).toEqual(messages);
});

test('of a hundred readers of a stream at the disk eight are served at a time, and none who no longer wants to be', async () => {
  const disk = new SimulatedDisk(seededRandom(3));
  let reading = 0;
  let most = 0;
  const watched: Disk = {
    name: disk.name,
    list: () => disk.list(),
    remove: name => disk.remove(name),
    syncDir: () => disk.syncDir(),
    open: async name => {
      const file = await disk.open(name);
      const read = file.read.bind(file);
      file.read = async (offset, length) => {
        most = Math.max(most, ++reading);
        // The others get as far as they can.
        await new Promise(setImmediate);
        return await read(offset, length).finally(() => reading--);
      };
      return file;
    },
  };
  const { ledger } = await openLedger(watched, { salt: () => 7, cacheBytes: 0 });
  ledger.putQueue({ name: 'log' });
  ledger.appendStream('log', 0, 1, numbered(0));
  await synced(ledger);
  const readers = Array.from({ length: 100 }, (_, i) => ledger.readStream('log', 0, all, () => i % 2 === 0));
  const found = await Promise.all(readers);
  expect(found.map(({ length }) => length)).toEqual(readers.map((_, i) => (i % 2 === 0 ? 1 : 0)));
  expect(most).toBe(8);
  await ledger.close();
});
