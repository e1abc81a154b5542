import fc from 'fast-check';
import { expect, test } from 'vitest';
import { AckWindow } from '../../services/bus/ack-window.ts';

test('deliveries settled in order go out as one acknowledgement', () => {
  const acks = new AckWindow();
  for (const tag of [1, 2, 3]) acks.delivered(tag);
  for (const tag of [1, 2, 3]) acks.acked(tag);
  expect(acks.take()).toEqual([{ tag: 3, multiple: true }]);
  expect(acks.take()).toEqual([]);
});

test('what is done behind an open delivery goes out alone', () => {
  const acks = new AckWindow();
  for (const tag of [1, 2, 3, 4, 5]) acks.delivered(tag);
  for (const tag of [5, 1, 2, 4]) acks.acked(tag);
  expect(acks.take()).toEqual([
    { tag: 2, multiple: true },
    { tag: 4, multiple: false },
    { tag: 5, multiple: false },
  ]);
});

test('a delivery is acknowledged once, after it was done and never before, whatever the order', () => {
  fc.assert(
    fc.property(
      fc.array(fc.record({ pick: fc.nat(), reject: fc.boolean(), take: fc.boolean() }), { maxLength: 60 }),
      steps => {
        const window = new AckWindow();
        const open = new Set<number>();
        const done = new Set<number>();
        const settled = new Set<number>();
        let next = 1;
        const take = (): void => {
          for (const { tag, multiple } of window.take()) {
            const covered = multiple ? [...Array(tag).keys()].map(i => i + 1) : [tag];
            for (const each of covered) {
              if (settled.has(each)) continue; // the broker knows it as settled
              expect(open.has(each)).toBe(false);
              expect(done.has(each)).toBe(true);
              settled.add(each);
            }
          }
        };
        for (const { pick, reject, take: now } of steps) {
          window.delivered(next);
          open.add(next++);
          const candidates = [...open];
          const tag = candidates[pick % candidates.length];
          if (tag !== undefined && pick % 3 !== 0) {
            open.delete(tag);
            if (reject) {
              window.rejected(tag);
              settled.add(tag);
            } else {
              window.acked(tag);
              done.add(tag);
            }
          }
          if (now) take();
        }
        for (const tag of open) {
          window.acked(tag);
          done.add(tag);
        }
        open.clear();
        take();
        expect(settled.size).toBe(next - 1);
        expect(window.unsettled).toBe(0);
      },
    ),
  );
});
