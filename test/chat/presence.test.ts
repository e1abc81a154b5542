import { expect, test } from 'vitest';
import { PresenceTable } from '../../services/chat/presence.ts';
import type { MemberId } from '../../services/lib/identity/member-id.ts';

const [ann, bob, eve] = ['a', 'b', 'e'].map(digit => digit.repeat(64) as MemberId) as [MemberId, MemberId, MemberId];

test('who says so is there, for a lease, or until it says that it goes', () => {
  const table = new PresenceTable(1_000, 10);
  expect(table.heard(ann, 0)).toBe(true);
  expect(table.heard(ann, 900)).toBe(false);
  expect(table.heard(bob, 900)).toBe(true);
  expect(table.expire(1_500)).toEqual([]);
  expect(table.left(bob)).toBe(true);
  expect(table.left(bob)).toBe(false);
  expect(table.expire(1_901)).toEqual([ann]);
  expect(table.members).toEqual([]);
});

test('no more are remembered than it was told; those that are there stay', () => {
  const table = new PresenceTable(1_000, 2);
  for (const member of [ann, bob]) table.heard(member, 0);
  expect(table.heard(eve, 1)).toBe(false);
  expect(table.has(eve)).toBe(false);
  expect(table.heard(ann, 1)).toBe(false);
  expect(table.members).toEqual([ann, bob]);
});
