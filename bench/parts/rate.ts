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

/** @param times of each, in milliseconds @param seconds that all of them together took */
export function rateOf(times: readonly number[], seconds: number): Rate {
  const sorted = Float64Array.from(times).sort();
  const at = (share: number): number => sorted[Math.floor((sorted.length - 1) * share)] ?? 0;
  return { perSecond: sorted.length / seconds, p50Ms: at(0.5), p99Ms: at(0.99) };
}
