import { pause } from '../lib/pause.ts';
import type { ContentIndex } from './content-index.ts';
import { OfferQuota } from './offer-quota.ts';
import { TokenBucket } from './token-bucket.ts';

const defaultQuota = 10 * 2 ** 30;
const offersAtOnce = 16;

export interface LimitChange {
  readonly up?: number | undefined;
  readonly down?: number | undefined;
  readonly offerQuota?: number | undefined;
}

/** How fast bytes may go and come, and how many of others' choosing may come. Set by the owner, kept in the index's database. */
export class Limits {
  readonly up: TokenBucket;
  readonly down: TokenBucket;
  readonly quota: OfferQuota;
  readonly #index: ContentIndex;
  readonly #clock: () => number;

  constructor(index: ContentIndex, clock: () => number) {
    this.#index = index;
    this.#clock = clock;
    this.up = new TokenBucket(this.#read('limit-up') ?? 0, clock());
    this.down = new TokenBucket(this.#read('limit-down') ?? 0, clock());
    this.quota = new OfferQuota({
      bytes: this.#read('offer-quota') ?? defaultQuota,
      used: this.#read('offer-used') ?? 0,
      mostAtOnce: offersAtOnce,
    });
  }

  set({ up, down, offerQuota }: LimitChange): void {
    this.#index.transaction(() => {
      if (up !== undefined) this.#write('limit-up', up);
      if (down !== undefined) this.#write('limit-down', down);
      if (offerQuota !== undefined) this.#write('offer-quota', offerQuota);
    });
    if (up !== undefined) this.up.setRate(up, this.#clock());
    if (down !== undefined) this.down.setRate(down, this.#clock());
    if (offerQuota !== undefined) this.quota.bytes = offerQuota;
  }

  /** Counts bytes that go or come now, and waits until more may, at most as long as the signal lets it. @returns whether it has not aborted */
  async pace(way: 'up' | 'down', bytes: number, signal: AbortSignal): Promise<boolean> {
    const bucket = this[way];
    let ms = bucket.take(bytes, this.#clock());
    // The limit may be another one soon.
    for (; ms > 0 && !signal.aborted; ms = bucket.waitMs(this.#clock())) await pause(Math.min(ms, 1_000), signal);
    return !signal.aborted;
  }

  /** What was promised to an offer has come, or will not. */
  settleOffer(of: string, hasCome: boolean): void {
    this.quota.settle(of, hasCome);
    if (!hasCome) return;
    try {
      this.#write('offer-used', this.quota.used);
    } catch {
      // The index cannot be written now; the next one that comes says both.
    }
  }

  #read(name: string): number | undefined {
    const row = this.#index.sql('SELECT value FROM numbers WHERE name = ?').get(name);
    return row === undefined ? undefined : Number(row.value);
  }

  #write(name: string, value: number): void {
    this.#index
      .sql('INSERT INTO numbers VALUES (:name, :value) ON CONFLICT DO UPDATE SET value = :value')
      .run({ name, value });
  }
}
