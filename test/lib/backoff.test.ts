import fc from 'fast-check';
import { expect, test } from 'vitest';
import { backoffMs } from '../../services/lib/backoff.ts';

const bounds = { firstMs: 100, maxMs: 2_000 };
const lowest = (): number => 0;
const highest = (): number => 1 - 2 ** -53;

test('waits double with each try up to the most, half of them fixed and half random', () => {
  expect([0, 1, 2, 3, 4, 5, 6].map(attempt => backoffMs(attempt, bounds, lowest))).toEqual([
    50, 100, 200, 400, 800, 1_000, 1_000,
  ]);
  expect([0, 1, 4, 5, 99].map(attempt => Math.round(backoffMs(attempt, bounds, highest)))).toEqual([
    100, 200, 1_600, 2_000, 2_000,
  ]);
  expect(backoffMs(1, bounds, () => 0.5)).toBe(150);
});

test('a wait is never below half its ceiling nor above it, and never infinite, at any try', () => {
  const random = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
  const range = fc.record({
    firstMs: fc.integer({ min: 1, max: 10_000 }),
    maxMs: fc.integer({ min: 1, max: 100_000 }),
  });
  fc.assert(
    fc.property(fc.nat(), range, random, (attempt, each, draw) => {
      const wait = backoffMs(attempt, each, () => draw);
      const ceiling = Math.min(each.maxMs, each.firstMs * 2 ** Math.min(attempt, 30));
      expect(wait).toBeGreaterThanOrEqual(ceiling / 2);
      expect(wait).toBeLessThanOrEqual(ceiling);
      expect(wait).toBeLessThanOrEqual(each.maxMs);
    }),
  );
});
