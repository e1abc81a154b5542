import fc from 'fast-check';
import { expect, test } from 'vitest';
import { AttemptLimiter } from '../../services/lib/attempt-limiter.ts';

const options = { burst: 3, refillMs: 1_000, maxKeys: 100 };

test('a burst goes through at once, then one each refill', () => {
  const limiter = new AttemptLimiter(options);
  for (let i = 0; i < 3; i++) {
    expect(limiter.waitMs('ann', 0)).toBe(0);
    limiter.take('ann', 0);
  }
  expect(limiter.waitMs('ann', 0)).toBe(1_000);
  expect(limiter.waitMs('ann', 999)).toBe(1);
  expect(limiter.waitMs('ann', 1_000)).toBe(0);
  limiter.take('ann', 1_000);
  expect(limiter.waitMs('ann', 1_000)).toBe(1_000);
  expect(limiter.waitMs('bob', 1_000)).toBe(0);
});

test('what is given back does not count, and leaves nothing behind', () => {
  const limiter = new AttemptLimiter(options);
  for (let i = 0; i < 10; i++) {
    limiter.take('ann', i);
    limiter.giveBack('ann', i);
  }
  expect(limiter.waitMs('ann', 10)).toBe(0);
  expect(limiter.size).toBe(0);
});

test('memory is bounded: the key that was quiet longest is forgotten first', () => {
  const limiter = new AttemptLimiter(options);
  for (let i = 0; i < 3; i++) limiter.take('ann', 0);
  for (let i = 0; i < 99; i++) limiter.take(`other ${i}`, 0);
  expect(limiter.size).toBe(100);
  expect(limiter.waitMs('ann', 0)).toBe(1_000);
  limiter.take('one more', 0);
  expect(limiter.size).toBe(100);
  expect(limiter.waitMs('ann', 0)).toBe(0);
});

test('however one tries, no more go through than the burst and what time gave', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 3_000 }), { maxLength: 200 }), steps => {
      const limiter = new AttemptLimiter(options);
      let now = 0;
      let through = 0;
      for (const step of steps) {
        now += step;
        if (limiter.waitMs('ann', now) > 0) continue;
        limiter.take('ann', now);
        through++;
        expect(through).toBeLessThanOrEqual(options.burst + now / options.refillMs + 1e-6);
      }
    }),
  );
});
