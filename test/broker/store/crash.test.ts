import { expect, test } from 'vitest';
import { crashRun, type Mutation, type Tally } from './crash-run.ts';

const firstSeed = Number(process.env.WARREN_SEED ?? Math.floor(Math.random() * 1e9));
const runs = Number(process.env.WARREN_RUNS ?? 1_000);

function newTally(): Tally {
  return { crashes: 0, cutBytes: 0, removed: 0, failures: 0, confirmed: 0 };
}

test('what was confirmed survives any crash, in order, and nothing settled comes back', {
  timeout: 300_000,
}, async () => {
  console.log(`${runs} runs from WARREN_SEED=${firstSeed}`);
  const tally = newTally();
  for (let seed = firstSeed; seed < firstSeed + runs; seed++) {
    await crashRun(seed, undefined, tally).catch((error: unknown) => {
      throw new Error(`WARREN_SEED=${seed} WARREN_RUNS=1: ${(error as Error).message}`, { cause: error });
    });
  }
  console.log(JSON.stringify(tally));
  // The runs must have met what they are about.
  if (runs < 1_000) return;
  expect(tally.confirmed).toBeGreaterThan(10_000);
  expect(tally.cutBytes).toBeGreaterThan(10_000);
  expect(tally.removed).toBeGreaterThan(1_000);
  expect(tally.failures).toBeGreaterThan(100);
});

test.each<Mutation>([
  'called back before the sync',
  'no checksum',
  'segments removed before the sync',
  'the directory never synced',
])('the runs would notice a mistake: %s', { timeout: 120_000 }, async mutation => {
  let noticed: unknown;
  let seed = 1;
  for (; seed <= 500 && noticed === undefined; seed++) {
    await crashRun(seed, mutation, newTally()).catch((error: unknown) => {
      noticed = error;
    });
  }
  console.log(`${mutation}: noticed after ${seed - 1} runs`);
  expect(noticed).toBeDefined();
});
