import { expect, test } from 'vitest';
import { FingerTable, fingerStart } from '../../services/chord/finger-table.ts';
import { circle } from '../../services/chord/identifier.ts';
import { alone, behind, untilSelf, withoutHead } from '../../services/chord/successor-list.ts';
import { id, peer } from './simulation/small-ring.ts';

test('finger i begins 2^i past the node, around the end', () => {
  expect(fingerStart(id(5), 0)).toBe(6n);
  expect(fingerStart(id(circle - 1n), 159)).toBe(2n ** 159n - 1n);
});

test('the fingers to look up are those that begin past the head, round and round', () => {
  const table = new FingerTable(id(0));
  // 8 owns the starts 1, 2, 4, 8.
  expect(table.nextToFix(id(8))).toBe(4);
  table.set(4, peer(20));
  expect(table.nextToFix(id(8))).toBe(5);
  table.set(5, peer(1000));
  // 1000 owns 32 … 512 too.
  expect(table.nextToFix(id(8))).toBe(10);
  table.set(10, peer(0));
  expect(table.nextToFix(id(8))).toBe(4);
  expect(table.peers().map(({ id }) => Number(id))).toEqual([1000, 20]);
});

test('a dead finger is forgotten everywhere', () => {
  const table = new FingerTable(id(0));
  table.set(5, peer(1000));
  expect(table.remove(id(1000))).toBe(true);
  expect(table.remove(id(1000))).toBe(false);
  expect(table.peers()).toEqual([]);
});

test('a list is the head and its list, cut to r', () => {
  expect(behind(peer(1), [peer(2), peer(3), peer(4)], 3)).toEqual([peer(1), peer(2), peer(3)]);
});

test('without its head a list is shorter, and never empty', () => {
  expect(withoutHead([peer(1), peer(2)], peer(9), 2)).toEqual([peer(2)]);
  expect(withoutHead([peer(1)], peer(9), 2)).toEqual([peer(9), peer(9)]);
  expect(alone(peer(9), 2)).toEqual([peer(9), peer(9)]);
});

test('a list that comes round ends before the node', () => {
  expect(untilSelf([peer(1), peer(9), peer(1)], id(9))).toEqual([peer(1)]);
  expect(untilSelf([peer(1), peer(2)], id(9))).toEqual([peer(1), peer(2)]);
});
