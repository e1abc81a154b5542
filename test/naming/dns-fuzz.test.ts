import { randomInt } from 'node:crypto';
import { expect, test } from 'vitest';
import { fuzz } from './dns-fuzz.ts';

test('5,000 random and mutated packets are answered as allowed, or not at all', () => {
  const seed = randomInt(2 ** 31);
  const { answered, truncated, problem } = fuzz(5_000, seed);
  expect(problem, `seed ${seed}`).toBeUndefined();
  // It has seen both sides.
  expect(answered).toBeGreaterThan(1_000);
  expect(truncated).toBeGreaterThan(10);
});
