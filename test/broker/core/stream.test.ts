import { describe, expect, test } from 'vitest';
import type { FieldTable } from '../../../services/broker/amqp/field-value.ts';
import type { LedgerStream } from '../../../services/broker/core/ports.ts';
import { readArguments } from '../../../services/broker/core/queue-arguments.ts';
import { ReadAhead } from '../../../services/broker/core/read-ahead.ts';
import { newQueueSettings } from '../../../services/broker/core/settings.ts';
import {
  type StreamConsumer,
  type StreamDelivery,
  StreamQueue,
  type StreamStart,
} from '../../../services/broker/core/stream.ts';
import type { StreamEntry } from '../../../services/broker/store/ledger.ts';
import { message, wired } from './fixtures.ts';

/** A log in memory that answers reads when it is told to, as a slow disk does. */
class FakeLog implements LedgerStream {
  entries: StreamEntry[] = [];
  first = 0;
  isSlow = false;
  readonly #reads: (() => void)[] = [];

  state(): ReturnType<LedgerStream['state']> {
    const next = this.entries.at(-1)?.offset ?? this.first - 1;
    const bytes = this.entries.reduce((sum, { message: { body } }) => sum + body.length, 0);
    return {
      firstOffset: this.first,
      nextOffset: next + 1,
      bytes,
      firstTimestampMs: undefined,
      lastTimestampMs: undefined,
    };
  }

  append(offset: number, timestampMs: number, stored: StreamEntry['message']): void {
    this.entries.push({ offset, timestampMs, message: stored });
  }

  truncate(firstOffset: number): void {
    this.first = firstOffset;
    this.entries = this.entries.filter(({ offset }) => offset >= firstOffset);
  }

  read(
    from: number,
    { maxCount }: { maxCount: number },
    isWanted: () => boolean,
  ): StreamEntry[] | Promise<StreamEntry[]> {
    const found = (): StreamEntry[] => this.entries.filter(({ offset }) => offset >= from).slice(0, maxCount);
    if (!this.isSlow) return found();
    return new Promise(resolve => this.#reads.push(() => resolve(isWanted() ? found() : [])));
  }

  async answer(): Promise<void> {
    for (const read of this.#reads.splice(0)) read();
    await Promise.resolve();
    await Promise.resolve();
  }

  offsetSince(timestampMs: number): number {
    return this.entries.find(entry => entry.timestampMs >= timestampMs)?.offset ?? this.state()?.nextOffset ?? 0;
  }

  offsetKeeping(maxBytes: number): number {
    let bytes = 0;
    let keep = this.state()?.nextOffset ?? 0;
    for (const {
      offset,
      message: { body },
    } of this.entries.toReversed()) {
      bytes += body.length;
      if (bytes > maxBytes) break;
      keep = offset;
    }
    return keep;
  }
}

class Reader implements StreamConsumer {
  credit = Number.POSITIVE_INFINITY;
  readonly got: number[] = [];

  hasCredit(): boolean {
    return this.credit > 0;
  }

  deliverEntry({ offset }: StreamDelivery): void {
    this.credit--;
    this.got.push(offset);
  }

  cancelled(): void {}
}

function testStream(args: FieldTable = {}): { stream: StreamQueue; log: FakeLog; at: (ms: number) => void } {
  const log = new FakeLog();
  let now = 0;
  const settings = newQueueSettings({
    name: 's',
    durable: true,
    exclusive: false,
    autoDelete: false,
    arguments: readArguments(wired({ 'x-queue-type': 'stream', ...args })),
  });
  const broken = (reason: unknown): never => {
    throw reason;
  };
  const at = (ms: number): void => {
    now = ms;
  };
  return {
    stream: new StreamQueue(settings, { log, now: () => now, onBroken: broken, readAhead: new ReadAhead() }),
    log,
    at,
  };
}

function append(stream: StreamQueue, count: number, bytes = 10): void {
  for (let i = 0; i < count; i++) stream.publish(message('s', 'x'.repeat(bytes)));
  stream.commit(stream.nextOffset);
}

describe('a reader of a stream', () => {
  test('sees nothing that is not on disk yet', () => {
    const { stream } = testStream();
    const reader = new Reader();
    stream.addConsumer(reader, 'first');
    for (let i = 0; i < 3; i++) stream.publish(message('s', 'x'));
    expect([reader.got, stream.messageCount]).toEqual([[], 0]);
    stream.commit(2);
    expect([reader.got, stream.messageCount]).toEqual([[0, 1], 2]);
    stream.commit(3);
    expect(reader.got).toEqual([0, 1, 2]);
  });

  test.for<[StreamStart, number[]]>([
    ['first', [2, 3, 4, 5, 6]],
    ['last', [5, 6]],
    ['next', [6]],
    [{ offset: 4 }, [4, 5, 6]],
    [{ offset: 0 }, [2, 3, 4, 5, 6]],
    [{ offset: 7 }, []],
    [{ timestampMs: 40 }, [4, 5, 6]],
    [{ timestampMs: 1_000_000 }, [6]],
  ])('that begins at %j reads %j', ([start, expected]) => {
    const { stream, log, at } = testStream();
    for (let i = 0; i < 6; i++) {
      at(i * 10);
      append(stream, 1);
    }
    log.truncate(2);
    const after = new StreamQueue(stream.settings, {
      log,
      now: () => 60,
      onBroken: () => {},
      readAhead: new ReadAhead(),
    });
    const reader = new Reader();
    after.addConsumer(reader, start);
    append(after, 1);
    expect(reader.got).toEqual(expected);
  });

  test('gets as much as it has credit for, in order, though the disk is slow', async () => {
    const { stream, log } = testStream();
    append(stream, 1_000);
    log.isSlow = true;
    const reader = new Reader();
    reader.credit = 10;
    stream.addConsumer(reader, 'first');
    stream.pump(reader);
    expect(reader.got).toEqual([]);
    await log.answer();
    expect(reader.got).toEqual(Array.from({ length: 10 }, (_, i) => i));
    reader.credit = Number.POSITIVE_INFINITY;
    stream.pump(reader);
    for (let i = 0; i < 10; i++) await log.answer();
    expect(reader.got).toEqual(Array.from({ length: 1_000 }, (_, i) => i));
  });

  test('that left while the disk was busy gets nothing any more', async () => {
    const { stream, log } = testStream();
    append(stream, 5);
    log.isSlow = true;
    const reader = new Reader();
    stream.addConsumer(reader, 'first');
    stream.removeConsumer(reader);
    await log.answer();
    expect(reader.got).toEqual([]);
  });

  test('that is slower than retention goes on with what is left', () => {
    const { stream } = testStream({ 'x-max-length-bytes': 100 });
    const reader = new Reader();
    reader.credit = 1;
    stream.addConsumer(reader, 'first');
    append(stream, 500);
    reader.credit = Number.POSITIVE_INFINITY;
    stream.pump(reader);
    expect(reader.got.at(-1)).toBe(499);
    expect(reader.got).toEqual(reader.got.toSorted((a, b) => a - b));
  });
});

describe('retention', () => {
  test('by size keeps about as much as it may, and never less than the newest', () => {
    const { stream, log } = testStream({ 'x-max-length-bytes': 1_000 });
    append(stream, 1_000);
    expect(log.state()?.bytes).toBeLessThanOrEqual(1_000 + 250 + 20);
    const { stream: tiny } = testStream({ 'x-max-length-bytes': 1 });
    append(tiny, 5);
    tiny.retain();
    expect(tiny.messageCount).toBe(1);
  });

  test('by age drops what is older, without anything new', () => {
    const { stream, at } = testStream({ 'x-max-age': '1s' });
    for (const ms of [0, 500, 1_000]) {
      at(ms);
      append(stream, 1);
    }
    at(1_400);
    stream.retain();
    expect(stream.messageCount).toBe(2);
    at(10_000);
    stream.retain();
    expect(stream.messageCount).toBe(1);
  });
});

describe('a reader without credit', () => {
  test('when its turn at the disk comes reads nothing, and reads when it has some again', async () => {
    const { stream, log } = testStream();
    append(stream, 3);
    stream.commit(3);
    log.isSlow = true;
    const reader = new Reader();
    stream.addConsumer(reader, 'first');
    reader.credit = 0;
    // It has some again between its turn and the answer: nobody may forget it.
    const answered = log.answer();
    reader.credit = 2;
    stream.pump(reader);
    await answered;
    await log.answer();
    expect(reader.got).toEqual([0, 1]);
  });

  test('keeps what it read, but not when others keep much', () => {
    const { stream, log } = testStream();
    append(stream, 100, 1_000_000);
    stream.commit(100);
    const reads: number[] = [];
    const read = log.read.bind(log);
    log.read = (from, limits, isWanted) => {
      reads.push(from);
      return read(from, limits, isWanted);
    };
    const step = (reader: Reader): void => {
      reader.credit = 1;
      stream.pump(reader);
    };
    const [first, second] = [new Reader(), new Reader()];
    for (const reader of [first, second]) {
      reader.credit = 1;
      stream.addConsumer(reader, { offset: reader === first ? 50 : 0 });
    }
    // The first keeps 49 MB; with the second's 99 it is too much.
    step(first);
    step(second);
    expect(first.got).toEqual([50, 51]);
    expect(second.got).toEqual([0, 1]);
    expect(reads).toEqual([50, 0, 1]);
  });
});
