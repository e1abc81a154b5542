import { describe, expect, test } from 'vitest';
import { changeOf } from '../../../services/chat/direct/correspondents.ts';
import { type Outgoing, planSending, queuedAt, retryAt } from '../../../services/chat/direct/sending.ts';
import type { MemberId } from '../../../services/lib/identity/member-id.ts';

const now = 1_000_000_000;
const day = 86_400_000;

function one(number: number, receiver: string, more: Partial<Outgoing> = {}): Outgoing {
  return { number, receiver, attempts: 0, isQueued: false, dueAt: now, madeAt: now, ...more };
}

const numbers = (all: readonly Outgoing[] | undefined): number[] => (all ?? []).map(({ number }) => number);

describe('what is sent now', () => {
  test('is all that is due, in order, to each receiver', () => {
    const { send, giveUp, nextAt } = planSending([one(3, 'b'), one(1, 'a'), one(2, 'a')], now);
    expect([...send.keys()]).toEqual(['a', 'b']);
    expect(numbers(send.get('a'))).toEqual([1, 2]);
    expect(numbers(send.get('b'))).toEqual([3]);
    expect(giveUp).toEqual([]);
    expect(nextAt).toBeUndefined();
  });

  test('overtakes nothing that waits for another try, to that receiver; nor waits for what is in the queue already', () => {
    const plan = planSending(
      [
        one(1, 'a', { dueAt: now + 500, attempts: 3 }),
        one(2, 'a'),
        one(3, 'b', { dueAt: now + day, isQueued: true }),
        one(4, 'b'),
      ],
      now,
    );
    expect(plan.send.get('a')).toBeUndefined();
    expect(numbers(plan.send.get('b'))).toEqual([4]);
    expect(plan.nextAt).toBe(now + 500);
  });

  test('is not what has been tried for a week', () => {
    const plan = planSending(
      [one(1, 'a', { madeAt: now - 7 * day, dueAt: now + day, isQueued: true }), one(2, 'a')],
      now,
    );
    expect(numbers(plan.giveUp)).toEqual([1]);
    expect(numbers(plan.send.get('a'))).toEqual([2]);
  });
});

test('it is tried again ever later, up to five minutes, at whole milliseconds; and once more if nobody says that it has it', () => {
  const waits = Array.from({ length: 12 }, (_, attempts) => retryAt(attempts, now, () => 0.123) - now);
  for (const wait of waits) expect(Number.isInteger(wait)).toBe(true);
  expect(waits[0]).toBeLessThanOrEqual(1_000);
  expect(waits[1]).toBeGreaterThan(waits[0] ?? 0);
  expect(waits.at(-1)).toBeLessThanOrEqual(300_000);
  expect(waits.at(-1)).toBeGreaterThanOrEqual(150_000);
  expect(queuedAt(now)).toBe(now + day / 2);
});

test('that there are other members behind an account is a change, but not the first time that one looks', () => {
  const [a, b, c] = ['a', 'b', 'c'].map(digit => digit.repeat(64) as MemberId) as [MemberId, MemberId, MemberId];
  const found = (...ids: MemberId[]) => ids.map(id => ({ id, sealingKey: undefined }));
  expect(changeOf('ann', new Set(), found(a))).toBeUndefined();
  expect(changeOf('ann', new Set([a, b]), found(b, a))).toBeUndefined();
  expect(changeOf('ann', new Set([a, b]), found(b, c))).toEqual({ account: 'ann', added: [c], removed: [a] });
  expect(changeOf('ann', new Set([a]), [])).toEqual({ account: 'ann', added: [], removed: [a] });
});
