import { median } from './rounds.ts';

/** What one measurement found: MiB, messages or calls a second, and how long each took, where that was measured. */
export interface Rate {
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

/** Of each figure on its own. */
export function medianRate(results: readonly Rate[]): Rate {
  const of = (key: keyof Rate): number => median(results.map(result => result[key] ?? 0));
  return { perSecond: of('perSecond'), p50Ms: of('p50Ms'), p99Ms: of('p99Ms') };
}
