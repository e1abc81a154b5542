import { describe, expect, test } from 'vitest';
import { ChatLog, type Read } from '../../services/chat/core/chat-log.ts';
import type { Entry, Logged } from '../../services/chat/core/entry.ts';
import type { MemberId } from '../../services/lib/identity/member-id.ts';
import { alice, bob, carol, epoch, input, logged, message, written } from './entries.ts';

const isAuthentic = (): boolean => true;

/** Epoch 1 of alice; carol says so many things, and a checkpoint comes after each ten entries. */
function createEntries(count: number): Logged[] {
  const log = new ChatLog({ isAuthentic });
  const all: Logged[] = [];
  const append = (from: MemberId, entry: Entry): void => {
    const next = logged(all.length, from, entry);
    all.push(next);
    log.read(next);
  };
  append(alice, epoch(1));
  append(alice, written(1, input(carol, 1, { kind: 'begin' })));
  for (let counter = 2; all.length < count; ) {
    const seq = log.state.seq + 1;
    if (all.length % 10 === 0) append(alice, { kind: 'checkpoint', epoch: 1, seq, snapshot: log.snapshot() });
    else append(alice, written(seq, input(carol, counter, message(`${counter++}`))));
  }
  return all;
}

function readAll(log: ChatLog, entries: readonly Logged[]): Read[] {
  return entries.flatMap(entry => log.read(entry));
}

function whole(entries: readonly Logged[]): ChatLog {
  const log = new ChatLog({ isAuthentic });
  readAll(log, entries);
  return log;
}

describe('a reader of the log', () => {
  test('gives each entry once, in order, however often it is delivered', () => {
    const entries = createEntries(20);
    const log = new ChatLog({ isAuthentic });
    const reads = [entries.slice(0, 12), entries.slice(5, 15), entries].flatMap(part => readAll(log, part));
    expect(reads.map(read => read.kind === 'entry' && read.logged.offset)).toEqual(entries.map(({ offset }) => offset));
    expect(log.nextOffset).toBe(20);
  });

  test('goes on from a state that was kept', () => {
    const entries = createEntries(20);
    const log = new ChatLog({ isAuthentic }, { from: whole(entries.slice(0, 13)).snapshot() });
    expect(log.nextOffset).toBe(13);
    expect(readAll(log, entries)).toHaveLength(7);
    expect(log.snapshot()).toEqual(whole(entries).snapshot());
  });

  test('that finds the beginning cut off waits for a checkpoint, and says what it will not see', () => {
    const entries = createEntries(45);
    const log = new ChatLog({ isAuthentic });
    const reads = readAll(log, entries.slice(20));
    expect(reads[0]).toEqual({ kind: 'cut', fromSeq: 1, toSeq: 19 });
    expect(reads).toHaveLength(26);
    expect(log.snapshot()).toEqual(whole(entries).snapshot());
  });

  test('that was away for too long misses only what was cut', () => {
    const entries = createEntries(45);
    const log = whole(entries.slice(0, 15));
    const reads = readAll(log, entries.slice(18));
    // 15 to 17 are gone; the first checkpoint from which it can go on says what came before offset 20.
    expect(reads[0]).toEqual({ kind: 'cut', fromSeq: 15, toSeq: 19 });
    expect(log.snapshot()).toEqual(whole(entries).snapshot());
  });

  /** As RabbitMQ delivers them when it has written something for itself before the one at that place. */
  const skipped = (entries: readonly Logged[], at: number, by = 1): Logged[] =>
    entries.map((each, place) => ({
      ...{ ...each, offset: place < at ? each.offset : each.offset + by },
      after: place === 0 ? undefined : place - 1 + (place > at ? by : 0),
    }));

  test('goes on over an offset that is nobody’s, at the beginning too', () => {
    const entries = createEntries(9);
    for (const at of [0, 1, 7]) {
      const log = new ChatLog({ isAuthentic });
      expect(readAll(log, skipped(entries, at))).toHaveLength(entries.length);
      expect(log.isLost).toBe(false);
      expect(log.state.seq).toBe(whole(entries).state.seq);
    }
  });

  test('is lost where it does not know that nothing was between, or something must have been', () => {
    const entries = createEntries(9);
    const unknown = skipped(entries, 7).map(each => ({ ...each, after: each.offset === 8 ? undefined : each.after }));
    // Retention has overtaken it: the next of its owner has not the next number.
    const overtaken = skipped(entries, 7)
      .filter(({ offset }) => offset !== 6)
      .map(each => ({ ...each, after: each.offset === 8 ? 5 : each.after }));
    for (const part of [unknown, overtaken, skipped(entries, 7, 5)]) {
      const log = new ChatLog({ isAuthentic });
      readAll(log, part);
      expect(log.isLost).toBe(true);
    }
  });

  test('does not take a checkpoint that comes from before what is there, nor one from what is to come', () => {
    const entries = createEntries(30);
    const log = new ChatLog({ isAuthentic });
    const early = whole(entries.slice(0, 15)).snapshot();
    expect(readAll(log, entries.slice(17, 19))).toEqual([]);
    expect(log.adopt(early)).toEqual([]);
    expect(log.adopt({ ...early, offset: 40 })).toEqual([]);
    expect(log.isLost).toBe(true);
    expect(log.adopt(whole(entries.slice(0, 18)).snapshot())).toHaveLength(2);
    expect(log.isLost).toBe(false);
    readAll(log, entries.slice(19));
    expect(log.snapshot()).toEqual(whole(entries).snapshot());
  });

  test('does not go back to an older epoch', () => {
    const entries = createEntries(10);
    const log = whole([...entries, logged(10, bob, epoch(2))]);
    expect(log.read(logged(20, carol, undefined))).toEqual([]);
    const other = whole(entries).snapshot();
    expect(log.adopt({ ...other, offset: 19 })).toEqual([]);
    expect(log.adopt({ ...other, offset: 19, epoch: 2 })).toHaveLength(2);
  });

  /** A server that has lost its epoch, and does not know, writes one; a newcomer finds nothing else. */
  test('goes on from a checkpoint that is void, and finds out who serves', () => {
    const entries = createEntries(21);
    const stale = whole(entries).snapshot();
    const more: [MemberId, Entry][] = [
      [bob, epoch(2)],
      [alice, { kind: 'checkpoint', epoch: 1, seq: stale.seq + 1, snapshot: stale }],
      [alice, written(stale.seq + 2, input(carol, 50, message('from the past')))],
      [bob, { kind: 'opens', epoch: 2, seq: stale.seq + 1 }],
    ];
    const all = [...entries, ...more.map(([from, entry], at) => logged(21 + at, from, entry))];
    const log = new ChatLog({ isAuthentic });
    const reads = readAll(log, all.slice(21));
    expect(reads.map(read => read.kind === 'entry' && read.meaning.kind)).toEqual([
      ...[false, 'epoch', 'void', 'void', 'opens'],
    ]);
    expect(log.snapshot()).toEqual(whole(all).snapshot());
  });

  test('takes no checkpoint from somebody who does not even say to own the epoch', () => {
    const entries = createEntries(31);
    const stranger = entries.map(entry => (entry.entry?.kind === 'checkpoint' ? { ...entry, from: bob } : entry));
    const log = new ChatLog({ isAuthentic });
    expect(readAll(log, stranger.slice(15))).toEqual([]);
    const other = whole(entries.slice(0, 31)).snapshot();
    expect(log.read(logged(31, alice, { kind: 'checkpoint', epoch: 2, seq: 1, snapshot: other }))).toEqual([]);
    expect(log.read(logged(32, alice, { kind: 'checkpoint', epoch: 1, seq: 1, snapshot: other }))).toHaveLength(3);
  });

  test('holds so many octets while it is lost, and no more', () => {
    const entries = createEntries(60);
    const log = new ChatLog({ isAuthentic }, { maxHeld: 500 });
    readAll(log, entries.slice(21, 29));
    // It has let go of what would have to follow this one.
    expect(log.adopt(whole(entries.slice(0, 22)).snapshot())).toEqual([]);
    expect(log.adopt(whole(entries.slice(0, 26)).snapshot())).toHaveLength(4);
  });
});
