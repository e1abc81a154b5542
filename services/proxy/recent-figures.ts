/** Ten slots of a second each: the one that runs, and nine whole ones before it. */
const slots = 10;
const slotMs = 1_000;
/** Bucket `b` ends at `firstMs · 2^(b/8)`: nine per cent wide each, up to 1,600 s. */
const firstMs = 0.01;
const perDoubling = 8;
const buckets = 220;

export interface Recent {
  readonly requestsPerSecond: number;
  /** Milliseconds that half of the requests, and 99 of 100, took at most; 0 without requests. */
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** The part that came from the cache, 0 to 1. */
  readonly hitRate: number;
}

interface Slot {
  /** Counted from the clock's zero; what stands in a slot of another number is old. */
  number: number;
  requests: number;
  hits: number;
  readonly took: Uint32Array;
}

/** What the last ten seconds were like, in memory that does not grow. `now` in milliseconds, monotonic. */
export class RecentFigures {
  readonly #startedAt: number;
  readonly #slots: Slot[] = Array.from({ length: slots }, () => ({
    ...{ number: -1, requests: 0, hits: 0, took: new Uint32Array(buckets) },
  }));

  constructor(now: number) {
    this.#startedAt = now;
  }

  observe(ms: number, isHit: boolean, now: number): void {
    const number = Math.floor(now / slotMs);
    const slot = this.#slots[number % slots] as Slot;
    if (slot.number !== number) {
      Object.assign(slot, { number, requests: 0, hits: 0 });
      slot.took.fill(0);
    }
    slot.requests++;
    if (isHit) slot.hits++;
    const bucket = Math.ceil(Math.log2(Math.max(ms, firstMs) / firstMs) * perDoubling);
    const at = Math.min(bucket, buckets - 1);
    slot.took[at] = (slot.took[at] ?? 0) + 1;
  }

  read(now: number): Recent {
    const number = Math.floor(now / slotMs);
    const live = this.#slots.filter(slot => slot.number > number - slots && slot.number <= number);
    const sum = (of: (slot: Slot) => number): number => live.reduce((total, slot) => total + of(slot), 0);
    const requests = sum(slot => slot.requests);
    const percentile = (part: number): number => {
      let left = Math.ceil(requests * part);
      for (let bucket = 0; bucket < buckets && left > 0; bucket++) {
        left -= sum(slot => slot.took[bucket] ?? 0);
        if (left <= 0) return firstMs * 2 ** (bucket / perDoubling);
      }
      return 0;
    };
    // Of whole slots and the beginning of one; less when it has not run so long.
    const coveredMs = Math.min(now - this.#startedAt, (slots - 1) * slotMs + (now % slotMs));
    return {
      requestsPerSecond: requests / Math.max(coveredMs / 1_000, 1),
      p50Ms: percentile(0.5),
      p99Ms: percentile(0.99),
      hitRate: requests === 0 ? 0 : sum(slot => slot.hits) / requests,
    };
  }
}
