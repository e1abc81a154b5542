import { expect, test } from 'vitest';
import { remember } from '../../services/lib/remember.ts';

test('of more entries than may be remembered those go that were set longest ago, however often they were set before', () => {
  const entries = new Map<string, number>();
  for (const [at, key] of ['a', 'b', 'a', 'c'].entries()) remember(entries, key, at, 2);
  expect([...entries]).toEqual([
    ['a', 2],
    ['c', 3],
  ]);
});
