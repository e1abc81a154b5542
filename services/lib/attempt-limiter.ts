import { remember } from './remember.ts';

/**
 * Attempts per key (an account, an address): each has a bucket of `burst`, and gets one back every `refillMs`. Memory is
 * bounded: beyond `maxKeys` the key that was quiet longest is forgotten. To have one forgotten early, an attacker has to make
 * `maxKeys` attempts under other names, each of which costs the address that makes it.
 */
export interface LimiterOptions {
  readonly burst: number;
  readonly refillMs: number;
  readonly maxKeys: number;
}

interface Bucket {
  /** Attempts taken and not yet given back; a fraction once time has passed. */
  readonly spent: number;
  readonly at: number;
}

export class AttemptLimiter {
  readonly #options: LimiterOptions;
  /** The quiet ones first. */
  readonly #buckets = new Map<string, Bucket>();

  constructor(options: LimiterOptions) {
    this.#options = options;
  }

  /** @returns milliseconds until an attempt may be made; 0: now */
  waitMs(key: string, now: number): number {
    const { burst, refillMs } = this.#options;
    return Math.max(0, Math.ceil((this.#spent(key, now) - (burst - 1)) * refillMs));
  }

  /** One attempt is made. */
  take(key: string, now: number): void {
    this.#put(key, this.#spent(key, now) + 1, now);
  }

  /** It was a good one, and does not count. */
  giveBack(key: string, now: number): void {
    this.#put(key, this.#spent(key, now) - 1, now);
  }

  get size(): number {
    return this.#buckets.size;
  }

  #spent(key: string, now: number): number {
    const bucket = this.#buckets.get(key);
    return bucket === undefined ? 0 : Math.max(0, bucket.spent - (now - bucket.at) / this.#options.refillMs);
  }

  #put(key: string, spent: number, now: number): void {
    if (spent <= 0) this.#buckets.delete(key);
    else remember(this.#buckets, key, { spent, at: now }, this.#options.maxKeys);
  }
}
