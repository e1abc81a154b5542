import { describe, expect, test } from 'vitest';
import { counterExample, report, seedsFrom } from './simulation/seeds.ts';
import { storageMutations } from './simulation/storage-mutations.ts';
import { simulateStorage } from './simulation/storage-simulation.ts';

const slow = 600_000;

test(
  'no acknowledged value is lost or read old while fewer than a majority of its holders go between repairs, in 25 seeded runs',
  async () => {
    const found = await counterExample(seedsFrom(1, 25), (seed, isTold) => simulateStorage(seed, { isTold }));
    expect(found && report(found, ' --storage')).toBeUndefined();
  },
  slow,
);

describe('the simulator finds', () => {
  test.each([...storageMutations])(
    '%s',
    async (_, spoil) => {
      const found = await counterExample(seedsFrom(1, 100), (seed, isTold) => simulateStorage(seed, { spoil, isTold }));
      expect(found?.problems[0]).toMatch(/got|holds|cannot be read/);
    },
    slow,
  );
});
