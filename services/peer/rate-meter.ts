/** Bytes a second over the last seconds, from a count that grows. Times in milliseconds. */
export class RateMeter {
  readonly #overMs: number;
  #samples: { at: number; bytes: number }[] = [];

  constructor(overMs = 3_000) {
    this.#overMs = overMs;
  }

  /** Now and then. @returns bytes a second */
  take(bytes: number, now: number): number {
    this.#samples.push({ at: now, bytes });
    while (this.#samples.length > 2 && now - (this.#samples[1]?.at ?? 0) >= this.#overMs) this.#samples.shift();
    return this.now;
  }

  get now(): number {
    const [first, last] = [this.#samples[0], this.#samples.at(-1)];
    if (first === undefined || last === undefined || last.at <= first.at) return 0;
    return Math.max(0, Math.round(((last.bytes - first.bytes) * 1_000) / (last.at - first.at)));
  }
}
