import { expect, test } from 'vitest';
import { simulate } from './job-simulation.ts';

const runs = Number(process.env.WARREN_RUNS ?? 2_000);
const firstSeed = Number(process.env.WARREN_SEED ?? Math.floor(Math.random() * 1e9));

test(`no claimed job runs twice and every client is answered once, over ${runs} runs from seed ${firstSeed}`, () => {
  const seen = { executions: 0, repeated: 0, streamed: 0, broken: 0, answered: new Map<number, number>() };
  for (let seed = firstSeed; seed < firstSeed + runs; seed++) {
    const { problems, transcript, jobs } = simulate(seed);
    if (problems.length > 0) {
      throw new Error(
        `WARREN_SEED=${seed} WARREN_RUNS=1:\n${problems.join('\n')}\n--- transcript\n${transcript.join('\n')}`,
      );
    }
    for (const job of jobs) {
      seen.executions += job.executions;
      if (job.executions > 1) seen.repeated++;
      if (job.status === 200 && job.received.length > 1) seen.streamed++;
      if (job.status === 502 && job.received.length > 0) seen.broken++;
      seen.answered.set(job.status, (seen.answered.get(job.status) ?? 0) + 1);
    }
  }
  // A simulation in which nothing ever goes wrong proves nothing.
  for (const status of [200, 502, 503, 504])
    expect(seen.answered.get(status) ?? 0, `clients told ${status}`).toBeGreaterThan(0);
  expect(seen.repeated, 'repeatable jobs that ran twice').toBeGreaterThan(0);
  expect(seen.streamed, 'responses in parts').toBeGreaterThan(0);
  expect(seen.broken, 'responses that broke').toBeGreaterThan(0);
});

test.each([
  ['grants twice', 'a worker that never asks' as const],
  ['runs what nobody waits for', 'claims granted after the answer' as const],
  ['runs claimed jobs twice', 'grants to anybody' as const],
  ['acts on a grant that has run out', 'old grants used' as const],
  ['mixes two responses', 'parts of any attempt taken' as const],
  ['ends cleanly what has a hole', 'lost parts overlooked' as const],
  ['loses the job with its worker', 'jobs acknowledged as they begin' as const],
])('the simulation catches a protocol that %s', (_what, mutation) => {
  let caught = 0;
  for (let seed = 1; seed <= 600 && caught === 0; seed++) if (simulate(seed, mutation).problems.length > 0) caught++;
  expect(caught).toBeGreaterThan(0);
});
