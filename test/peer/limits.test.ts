import { randomInt } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { OfferQuota } from '../../services/peer/offer-quota.ts';
import { frameBytesAt, TokenBucket } from '../../services/peer/token-bucket.ts';
import { seededRandom } from '../support/seeded.ts';

describe('a rate limit', () => {
  test('lets its rate through, whatever the sizes, and not more than its burst beyond', () => {
    const seed = randomInt(2 ** 31);
    const random = seededRandom(seed);
    for (let round = 0; round < 50; round++) {
      const rate = 1_000 + random() * 1e8;
      const bucket = new TokenBucket(rate, 0);
      const most = frameBytesAt(rate, 262_144);
      let now = 0;
      let sent = 0;
      while (now < 60_000) {
        const bytes = Math.ceil(random() * most);
        sent += bytes;
        now += bucket.take(bytes, now);
      }
      expect(sent, `seed ${seed}`).toBeLessThanOrEqual((rate * (now + 250)) / 1000 + most);
      expect(sent, `seed ${seed}`).toBeGreaterThanOrEqual(((rate * now) / 1000) * 0.95);
    }
  });

  test('of nothing never waits, and can be set while in use', () => {
    const bucket = new TokenBucket(0, 0);
    expect(bucket.take(1e12, 0)).toBe(0);
    bucket.setRate(1_000, 0);
    expect(bucket.take(1_000, 0)).toBe(1_000);
    bucket.setRate(2_000, 0);
    expect(bucket.waitMs(0)).toBe(500);
    bucket.setRate(0, 0);
    expect(bucket.waitMs(0)).toBe(0);
  });

  test('is not fooled by a clock that stands still or goes back', () => {
    const bucket = new TokenBucket(1_000, 1_000);
    bucket.take(1_000, 1_000);
    expect(bucket.waitMs(0)).toBe(750);
    expect(bucket.waitMs(1_750)).toBe(0);
  });

  test('has frames that go about every half second', () => {
    expect(frameBytesAt(0, 262_144)).toBe(262_144);
    expect(frameBytesAt(100_000, 262_144)).toBe(50_000);
    expect(frameBytesAt(100, 262_144)).toBe(4_096);
  });
});

describe('the quota of offers', () => {
  test('counts what is promised, gives back what fails, keeps what came', () => {
    const quota = new OfferQuota({ bytes: 100, used: 10, mostAtOnce: 3 });
    expect(quota.promise('a', 60)).toBeUndefined();
    expect(quota.promise('a', 60)).toBeUndefined();
    expect(quota.promise('b', 31)).toBe('QUOTA');
    expect(quota.promise('b', 30)).toBeUndefined();
    expect(quota.promise('c', 0)).toBeUndefined();
    expect(quota.promise('d', 0)).toBe('BUSY');
    quota.settle('a', false);
    quota.settle('b', true);
    expect(quota.used).toBe(40);
    expect(quota.promise('d', 61)).toBe('QUOTA');
    expect(quota.promise('d', 60)).toBeUndefined();
  });
});
