import { ringMutations } from './simulation/ring-mutations.ts';
import { simulateRing } from './simulation/ring-simulation.ts';
import { storageMutations } from './simulation/storage-mutations.ts';
import { simulateStorage } from './simulation/storage-simulation.ts';

/**
 * `node test/chord/replay.ts --replay SEED [--wild | --apart | --storage] [--mutation NAME]`: the transcript of one seeded run, as the tests of the ring make
 * them, and what is wrong in it.
 */
const flags = process.argv.slice(2);
const valueOf = (flag: string): string | undefined => flags[flags.indexOf(flag) + 1 || flags.length];
const seed = Number(valueOf('--replay') ?? Number.NaN);
const mutation = valueOf('--mutation') ?? '';
const mutations: ReadonlyMap<string, unknown> = flags.includes('--storage') ? storageMutations : ringMutations;

if (!Number.isSafeInteger(seed) || (mutation !== '' && !mutations.has(mutation))) {
  process.stderr.write(
    `replay: node test/chord/replay.ts --replay SEED [--wild | --apart | --storage] [--mutation NAME], with one of: ${[...mutations.keys()].join(', ')}\n`,
  );
  process.exitCode = 2;
} else {
  const spoil = storageMutations.get(mutation);
  const steps = ringMutations.get(mutation);
  const { transcript, problems } = flags.includes('--storage')
    ? await simulateStorage(seed, { isTold: true, ...(spoil ? { spoil } : {}) })
    : await simulateRing(seed, {
        isTold: true,
        kind: (['wild', 'apart'] as const).find(kind => flags.includes(`--${kind}`)) ?? 'bounded',
        ...(steps ? { steps } : {}),
      });
  process.stdout.write(`${transcript.join('\n')}\n`);
  process.stdout.write(
    problems.length === 0 ? `seed ${seed}: all is right\n` : `seed ${seed}: ${problems.join('\n')}\n`,
  );
}
