/** `WARREN_SEED=N npx vitest run …` runs that seed alone. */
export function seedsFrom(first: number, count: number): number[] {
  const only = process.env.WARREN_SEED;
  if (only !== undefined) return [Number(only)];
  return Array.from({ length: count }, (_, i) => first + i);
}

/** Why a run is a counter-example, with what it takes to look at it. */
export function report(
  run: { seed: number; problems: readonly string[]; transcript: readonly string[] },
  flags = '',
  replay = 'test/chord/replay.ts',
): string {
  const last = run.transcript.slice(-60);
  return [
    `seed ${run.seed}: ${run.problems.join('; ')}`,
    ...(run.transcript.length > last.length ? ['…'] : []),
    ...last,
    `the whole of it: node ${replay} --replay ${run.seed}${flags}`,
  ].join('\n');
}

/** The first seed whose run has a problem, with the transcript of it. */
export async function counterExample<
  R extends { seed: number; problems: readonly string[]; transcript: readonly string[] },
>(seeds: readonly number[], simulate: (seed: number, isTold: boolean) => Promise<R>): Promise<R | undefined> {
  for (const seed of seeds) {
    const run = await simulate(seed, false);
    // The same once more, this time written down.
    if (run.problems.length > 0) return simulate(seed, true);
  }
  return undefined;
}
