import { expect, test } from 'vitest';
import { type Message, MessageList } from '../../services/demo/message-list.ts';

function message(id: string): Message {
  return { id, author: 'Ada', text: `text of ${id}`, replica: 'backend-1', at: null };
}

function listOf(ids: readonly string[], options?: { keep: number; remember: number }): MessageList {
  const list = new MessageList(options);
  for (const id of ids) list.add(message(id));
  return list;
}

function idsOf(list: MessageList): string[] {
  return list.newestFirst().map(({ id }) => id);
}

test('the newest comes first', () => {
  expect(idsOf(listOf(['a', 'b', 'c']))).toEqual(['c', 'b', 'a']);
});

test('a repeat changes nothing', () => {
  const list = listOf(['a', 'b']);
  expect(list.add(message('a'))).toBe(false);
  expect(idsOf(list)).toEqual(['b', 'a']);
});

test('only the last 200 stay', () => {
  const ids = Array.from({ length: 250 }, (_, index) => `m${index}`);
  expect(idsOf(listOf(ids))).toEqual(ids.slice(50).reverse());
});

test('a repeat of a message that has left the list does not come back', () => {
  const list = listOf(['a', 'b', 'c'], { keep: 2, remember: 10 });
  expect(list.add(message('a'))).toBe(false);
  expect(idsOf(list)).toEqual(['c', 'b']);
});

test('ids are forgotten in the end, so that memory is bounded', () => {
  const list = listOf(['a', 'b', 'c', 'd'], { keep: 2, remember: 3 });
  expect(list.add(message('b'))).toBe(false);
  expect(list.add(message('a'))).toBe(true);
});

test('a list that was given out does not change', () => {
  const list = listOf(['a']);
  const before = list.newestFirst();
  list.add(message('b'));
  expect(before.map(({ id }) => id)).toEqual(['a']);
});
