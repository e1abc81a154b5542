/**
 * A rate limit: bytes may go as the bucket has filled; it is never fuller than what comes in `burstMs`. What is larger than that still
 * goes, and is paid off afterwards. Times in milliseconds.
 */
export class TokenBucket {
  #rate: number;
  readonly #burstMs: number;
  #tokens: number;
  #at: number;

  /** @param rate bytes a second; 0: no limit */
  constructor(rate: number, now: number, burstMs = 250) {
    this.#rate = rate;
    this.#burstMs = burstMs;
    this.#at = now;
    this.#tokens = this.#most;
  }

  get rate(): number {
    return this.#rate;
  }

  setRate(rate: number, now: number): void {
    this.#fill(now);
    this.#rate = rate;
    this.#tokens = Math.min(this.#tokens, this.#most);
    // What is owed was at another rate.
    if (rate === 0) this.#tokens = 0;
  }

  /** The bytes go now. @returns milliseconds to wait before the next ones may */
  take(bytes: number, now: number): number {
    if (this.#rate === 0) return 0;
    this.#fill(now);
    this.#tokens -= bytes;
    return this.waitMs(now);
  }

  /** @returns milliseconds until bytes may go; 0: now */
  waitMs(now: number): number {
    if (this.#rate === 0) return 0;
    this.#fill(now);
    return this.#tokens >= 0 ? 0 : Math.ceil((-this.#tokens * 1000) / this.#rate);
  }

  get #most(): number {
    return (this.#rate * this.#burstMs) / 1000;
  }

  #fill(now: number): void {
    this.#tokens = Math.min(this.#most, this.#tokens + (Math.max(0, now - this.#at) * this.#rate) / 1000);
    this.#at = Math.max(this.#at, now);
  }
}

/**
 * How many bytes a frame should have under a rate limit: so few that one goes about every half second, or the receiver takes the sender for
 * stalled; at least 4 KiB.
 */
export function frameBytesAt(rate: number, mostBytes: number): number {
  return rate === 0 ? mostBytes : Math.min(mostBytes, Math.max(4096, Math.floor(rate / 2)));
}
