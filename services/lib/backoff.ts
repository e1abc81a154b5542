/** Bounds of an exponential backoff, in milliseconds. */
export interface BackoffBounds {
  readonly firstMs: number;
  readonly maxMs: number;
}

/**
 * How long to wait before try number `attempt` (0 = the first retry): "equal jitter", half fixed and half random, so
 * that a herd spreads out and nobody hammers.
 * @param random uniform in [0, 1)
 * @returns milliseconds, in [ceiling / 2, ceiling) where ceiling = min(max, first · 2^attempt)
 */
export function backoffMs(attempt: number, { firstMs, maxMs }: BackoffBounds, random: () => number): number {
  const ceiling = Math.min(maxMs, firstMs * 2 ** Math.min(attempt, 30));
  return ceiling / 2 + (ceiling / 2) * random();
}
