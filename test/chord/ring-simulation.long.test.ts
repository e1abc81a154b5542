import { expect, test } from 'vitest';
import { simulateRing } from './simulation/ring-simulation.ts';
import { counterExample, report, seedsFrom } from './simulation/seeds.ts';
import { simulateStorage } from './simulation/storage-simulation.ts';

const hours = 3 * 3_600_000;

test(
  'Zave’s invariant holds after every event of 10,000 seeded runs, and each is ideal once it is left alone',
  async () => {
    const found = await counterExample(seedsFrom(1_000, 10_000), (seed, isTold) => simulateRing(seed, { isTold }));
    expect(found && report(found)).toBeUndefined();
  },
  hours,
);

test(
  'a ring grows together again after false suspicions, losses and cuts, in 2,000 seeded runs',
  async () => {
    const found = await counterExample(seedsFrom(1_000, 2_000), (seed, isTold) =>
      simulateRing(seed, { kind: 'wild', isTold }),
    );
    expect(found && report(found, ' --wild')).toBeUndefined();
  },
  hours,
);

test(
  'no acknowledged value is lost in 1,000 seeded runs',
  async () => {
    const found = await counterExample(seedsFrom(1_000, 1_000), (seed, isTold) => simulateStorage(seed, { isTold }));
    expect(found && report(found, ' --storage')).toBeUndefined();
  },
  hours,
);
