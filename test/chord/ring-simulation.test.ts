import { describe, expect, test } from 'vitest';
import { ringMutations } from './simulation/ring-mutations.ts';
import { simulateRing } from './simulation/ring-simulation.ts';
import { counterExample, report, seedsFrom } from './simulation/seeds.ts';

/** See `ring-simulation.long.test.ts` for 10,000 of them. */
const slow = 600_000;

describe('a ring founded by r + 1 members or more', () => {
  test(
    'keeps Zave’s invariant after every event of 300 seeded runs, and is ideal once it is left alone',
    async () => {
      const found = await counterExample(seedsFrom(1, 300), (seed, isTold) => simulateRing(seed, { isTold }));
      expect(found && report(found)).toBeUndefined();
    },
    slow,
  );

  test(
    'grows together again after false suspicions, losses and cuts, in 60 seeded runs',
    async () => {
      const found = await counterExample(seedsFrom(1, 60), (seed, isTold) =>
        simulateRing(seed, { kind: 'wild', isTold }),
      );
      expect(found && report(found, ' --wild')).toBeUndefined();
    },
    slow,
  );

  test(
    'founded apart become one by looking themselves up through a rendezvous, in 40 seeded runs',
    async () => {
      const found = await counterExample(seedsFrom(1, 40), (seed, isTold) =>
        simulateRing(seed, { kind: 'apart', isTold }),
      );
      expect(found && report(found, ' --apart')).toBeUndefined();
    },
    slow,
  );

  test('replays a seed to the letter', async () => {
    const [one, other] = [await simulateRing(5, { isTold: true }), await simulateRing(5, { isTold: true })];
    expect(one.transcript.length).toBeGreaterThan(100);
    expect(other).toEqual(one);
  });

  test('meets what it is there for: many members, failures at their limit, nodes that come again', async () => {
    const runs = await Promise.all(seedsFrom(1, 20).map(seed => simulateRing(seed, { isTold: true })));
    expect(Math.max(...runs.map(({ mostMembers }) => mostMembers))).toBeGreaterThan(40);
    const sum = (of: keyof (typeof runs)[number]['counts']): number =>
      runs.reduce((total, { counts }) => total + counts[of], 0);
    expect(sum('failures')).toBeGreaterThan(200);
    expect(sum('refused')).toBeGreaterThan(50);
    expect(sum('leaves')).toBeGreaterThan(50);
    expect(runs.some(({ transcript }) => transcript.some(line => line.endsWith('comes again')))).toBe(true);
  });
});

describe('the simulator finds', () => {
  test.each([...ringMutations])(
    '%s',
    async (_, steps) => {
      const found = await counterExample(seedsFrom(1, 300), (seed, isTold) => simulateRing(seed, { steps, isTold }));
      expect(found?.problems[0]).toMatch(/no living node|principals|not ideal/);
      expect(found?.transcript.length).toBeGreaterThan(0);
    },
    slow,
  );
});
