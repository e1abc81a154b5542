import type { MemberId } from '../../lib/identity/member-id.ts';

interface Bucket {
  tokens: number;
  at: number;
}

/** How fast each may say things: `burst` at once, and then `perSecond`. Times in milliseconds. */
export class RateLimit {
  readonly #buckets = new Map<MemberId, Bucket>();
  readonly #perMs: number;
  readonly #burst: number;

  constructor(perSecond: number, burst: number) {
    this.#perMs = perSecond / 1000;
    this.#burst = burst;
  }

  /** @returns whether one more may go now; then it counts */
  take(member: MemberId, now: number): boolean {
    const bucket = this.#buckets.get(member) ?? { tokens: this.#burst, at: now };
    bucket.tokens = Math.min(this.#burst, bucket.tokens + Math.max(0, now - bucket.at) * this.#perMs);
    bucket.at = Math.max(bucket.at, now);
    if (!this.#buckets.has(member)) this.#buckets.set(member, bucket);
    if (bucket.tokens < 1) return false;
    bucket.tokens--;
    return true;
  }
}
