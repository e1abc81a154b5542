import { describe, expect, test } from 'vitest';
import { ArcSet } from '../../services/chord/arc.ts';
import { circle, type Identifier, identifier, isUpTo } from '../../services/chord/identifier.ts';
import { seededRandom } from '../support/seeded.ts';

const arc = (from: number, to: number) => ({ from: identifier(BigInt(from)), to: identifier(BigInt(to)) });

describe('a set of arcs', () => {
  test('covers what was added, and what lies in it', () => {
    const set = new ArcSet();
    set.add(arc(10, 30));
    expect([arc(10, 30), arc(10, 20), arc(20, 30)].map(each => set.covers(each))).toEqual([true, true, true]);
    expect([arc(9, 30), arc(10, 31), arc(30, 10), arc(5, 5)].map(each => set.covers(each))).toEqual(
      Array(4).fill(false),
    );
    set.clear();
    expect(set.covers(arc(10, 30))).toBe(false);
  });

  test('joins those that touch, in whatever order they come', () => {
    for (const order of [
      [arc(10, 20), arc(20, 30), arc(30, 40)],
      [arc(30, 40), arc(10, 20), arc(20, 30)],
    ]) {
      const set = new ArcSet();
      for (const each of order) set.add(each);
      expect([set.covers(arc(10, 40)), set.covers(arc(10, 41))]).toEqual([true, false]);
    }
  });

  test('goes past the end of the circle, and all around', () => {
    const set = new ArcSet();
    set.add(arc(-10, 10));
    expect([set.covers(arc(-5, 5)), set.covers(arc(-5, 11))]).toEqual([true, false]);
    set.add(arc(10, -10));
    expect([set.covers(arc(7, 7)), set.covers(arc(20, 3))]).toEqual([true, true]);
  });

  const seed = Math.floor(Math.random() * 2 ** 32);
  test(`covers no point that was not added, and each that was (seed ${seed})`, () => {
    const random = seededRandom(seed);
    // All points of a small circle, as the multiples of a part of the great one.
    const points = 24;
    const step = circle / BigInt(points);
    const at = (point: number): Identifier => identifier(step * BigInt(point));
    for (let run = 0; run < 500; run++) {
      const set = new ArcSet();
      const added = Array.from({ length: 1 + Math.floor(random() * 6) }, () => {
        const [from, to] = [at(Math.floor(random() * points)), at(Math.floor(random() * points))];
        set.add({ from, to });
        return { from, to };
      });
      for (let point = 0; point < points; point++) {
        const isIn = added.some(({ from, to }) => isUpTo(from, at(point), to));
        expect(set.covers({ from: identifier(at(point) - 1n), to: at(point) })).toBe(isIn);
      }
    }
  });
});
