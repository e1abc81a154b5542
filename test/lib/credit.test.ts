import fc from 'fast-check';
import { expect, test } from 'vitest';
import { bodyWindow, ReceiveCredit, SendCredit } from '../../services/lib/credit.ts';

test('a sender and a receiver never stand still while bytes are left, never hold more than a window, and may lose words', () => {
  const steps = fc.array(fc.record({ send: fc.nat(200_000), consume: fc.nat(300_000), isLost: fc.boolean() }), {
    maxLength: 60,
  });
  fc.assert(
    fc.property(steps, list => {
      const receiver = new ReceiveCredit();
      const sender = new SendCredit(bodyWindow.firstBytes);
      const take = (bytes: number, isLost: boolean): void => {
        const until = receiver.consume(bytes);
        // A later word says more than the lost one; the last one must arrive.
        if (until !== undefined && !isLost) sender.extend(until);
      };
      for (const { send, consume, isLost } of list) {
        const size = Math.min(send, sender.room);
        sender.sent(size);
        expect(receiver.receive(size)).toBe(true);
        expect(receiver.held).toBeLessThanOrEqual(bodyWindow.mostBytes);
        take(Math.min(consume, receiver.held), isLost);
      }
      sender.extend(receiver.until);
      take(receiver.held, false);
      expect(sender.room).toBeGreaterThan(0);
    }),
  );
});

test('the window stays small in front of a slow reader, and grows before a fast one', () => {
  const slow = new ReceiveCredit();
  const fast = new ReceiveCredit();
  for (let i = 0; i < 1_000; i++) {
    fast.receive(65_536);
    fast.consume(fast.held);
    // Always full but for a little.
    slow.receive(1_024);
    if (slow.held > 200 * 1_024) slow.consume(1_024);
  }
  expect(fast.until).toBeGreaterThan(bodyWindow.mostBytes);
  expect(slow.until - (1_000 * 1_024 - slow.held)).toBeLessThanOrEqual(bodyWindow.firstBytes);
});

test('more than was granted is noticed, to the byte', () => {
  const receiver = new ReceiveCredit();
  expect(receiver.receive(bodyWindow.firstBytes)).toBe(true);
  expect(receiver.receive(1)).toBe(false);
});
