import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { History, type KeptMessage } from '../../services/chat/history/history.ts';

let dir: string;
let history: History;

function open(): History {
  const opened = new History(dir);
  onTestFinished(() => {
    try {
      opened.close();
    } catch {
      // Closed by the test.
    }
  });
  return opened;
}

beforeEach(async () => {
  dir = join(await mkdtemp(join(tmpdir(), 'warren-test-')), 'chat');
  history = open();
  return () => rm(join(dir, '..'), { recursive: true, force: true });
});

function message(seq: number, room = 'hall', body = `message ${seq}`): KeptMessage {
  return { seq, offset: seq + 5, room, sender: 'a'.repeat(64), atMs: 1_000 * seq, body };
}

const range = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, at) => from + at);
const seqs = ({ messages }: { messages: readonly KeptMessage[] }): number[] => messages.map(({ seq }) => seq);

describe('pages', () => {
  test('of one room, forwards and backwards, the oldest first, without a gap', () => {
    history.add(
      range(1, 101).map(seq => message(seq, seq % 2 === 0 ? 'even' : 'odd')),
      200,
    );
    const last = history.page('even', {}, 10);
    expect(seqs(last)).toEqual([82, 84, 86, 88, 90, 92, 94, 96, 98, 100]);
    expect(last.hasMore).toBe(true);
    expect(seqs(history.page('even', { before: 82 }, 3))).toEqual([76, 78, 80]);
    expect(seqs(history.page('even', { after: 95 }, 2))).toEqual([96, 98]);
    expect(history.page('even', { after: 95 }, 3)).toMatchObject({ hasMore: false });
    expect(history.page('even', { before: 4 }, 10)).toEqual({ messages: [message(2, 'even')], hasMore: false });
    expect(history.page('nowhere', {}, 10)).toEqual({ messages: [], hasMore: false });
  });

  test('hold 200 messages at most', () => {
    history.add(
      range(1, 300).map(seq => message(seq)),
      300,
    );
    expect(history.page('hall', {}, 10_000).messages).toHaveLength(200);
  });
});

test('what is read again is kept once, as it was; where to read on comes with what was read', () => {
  expect(history.nextOffset).toBe(0);
  history.add([message(1), message(2)], 8);
  history.close();
  history = open();
  expect(history.nextOffset).toBe(8);
  history.add([{ ...message(2), body: 'another' }, message(3)], 7);
  expect(history.nextOffset).toBe(8);
  expect(history.page('hall', {}, 10).messages).toEqual([message(1), message(2), message(3)]);
  expect(seqs(history.search('hall', 'another', {}, 10))).toEqual([]);
});

test('a batch is taken whole or not at all, and the next one begins a room anew', () => {
  const broken = { ...message(2), body: undefined as unknown as string };
  expect(() => history.add([message(1), broken], 9)).toThrow();
  expect(history.nextOffset).toBe(0);
  history.add([message(1, 'other'), message(2)], 9);
  expect(seqs(history.page('hall', {}, 10))).toEqual([2]);
  expect(seqs(history.page('other', {}, 10))).toEqual([1]);
});

describe('searching', () => {
  test('finds all words in one room, in any order, the last messages, page by page', () => {
    history.add(
      range(1, 51).map(seq =>
        message(seq, seq <= 40 ? 'hall' : 'yard', seq % 10 === 0 ? 'Über die Brücke' : 'nothing'),
      ),
      50,
    );
    expect(seqs(history.search('hall', 'brucke uber', {}, 3))).toEqual([20, 30, 40]);
    expect(history.search('hall', 'brucke', {}, 3).hasMore).toBe(true);
    expect(seqs(history.search('hall', 'brücke', { before: 20 }, 3))).toEqual([10]);
    expect(seqs(history.search('hall', 'brü*', {}, 9))).toEqual([10, 20, 30, 40]);
    expect(seqs(history.search('yard', 'brücke', {}, 9))).toEqual([50]);
    expect(seqs(history.search('nowhere', 'brücke', {}, 9))).toEqual([]);
  });

  test.each(['" OR 1', 'NEAR(a b)', 'place : room1', 'room1', '(', '*', '-- ;', 'AND'])(
    'takes %j for words, not for syntax',
    text => {
      history.add([message(1)], 1);
      expect(seqs(history.search('hall', text, {}, 10))).toEqual([]);
    },
  );
});

describe('retention', () => {
  const keep = { maxBytes: Number.MAX_SAFE_INTEGER, olderThanMs: 0 };

  function retainAll(bounds: Partial<typeof keep>): number {
    let removed = 0;
    for (let now = -1; now !== 0; removed += now) now = history.retain({ ...keep, ...bounds });
    return removed;
  }

  test('by age takes the oldest, out of pages and searches, and leaves where to read on', () => {
    history.add(
      range(1, 5_001).map(seq => message(seq)),
      6_000,
    );
    expect(retainAll({ olderThanMs: 4_991_000 })).toBe(4_990);
    expect(seqs(history.page('hall', {}, 100))).toEqual(range(4_991, 5_001));
    expect(seqs(history.search('hall', '4990', {}, 10))).toEqual([]);
    expect(seqs(history.search('hall', '4991', {}, 10))).toEqual([4_991]);
    expect(history.nextOffset).toBe(6_000);
  });

  test('by size takes as many of the oldest as needed, and no more', () => {
    history.add(
      range(1, 101).map(seq => message(seq, 'hall', 'x'.repeat(1_000))),
      100,
    );
    const each = history.bytes / 100;
    expect(retainAll({ maxBytes: 40 * each + 1 })).toBe(60);
    expect(seqs(history.page('hall', {}, 100))[0]).toBe(61);
    expect(history.bytes).toBe(40 * each);
    expect(retainAll({ maxBytes: 40 * each })).toBe(0);
  });
});

test('the file is its owner’s alone; one of another version is left as it is', async () => {
  expect((await stat(join(dir, 'history.db'))).mode & 0o777).toBe(0o600);
  history.close();
  const database = new DatabaseSync(join(dir, 'history.db'));
  database.exec('PRAGMA user_version = 99');
  database.close();
  expect(() => new History(dir)).toThrow(expect.objectContaining({ code: 'CHAT_HISTORY' }));
});
