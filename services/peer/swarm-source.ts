import { type BackoffBounds, backoffMs } from '../lib/backoff.ts';
import type { PieceMap, PieceRun } from './piece-map.ts';

/**
 * ready: may be asked. waiting: passed over until `waitUntil` (it stalled, failed or was busy). banned: it sent what the id does not stand
 * for; it stays so for this file, also when it goes and comes back. gone: not there now.
 */
export type SourceMode = 'ready' | 'waiting' | 'banned' | 'gone';

/** A run of consecutive pieces that a source was asked for; they come in order. */
export interface SwarmRequest {
  readonly id: number;
  readonly source: SwarmSource;
  /** The piece that comes now. */
  next: number;
  /** The first one that is not asked for (any more). */
  end: number;
  /** Bytes that came of `next`. */
  partial: number;
  /** When the last byte came, or it was asked. */
  heardAt: number;
}

/** What the scheduler knows of one source. */
export class SwarmSource {
  readonly id: string;
  mode: SourceMode = 'ready';
  /** undefined: it has all. */
  has: PieceMap | undefined;
  /** On their way to others, as it says; of a seed, from it. */
  coming: readonly PieceRun[] = [];
  readonly requests = new Set<SwarmRequest>();
  /** Bytes a second, of all its requests, while it has some; 0: not known yet. */
  rate = 0;
  /**
   * Pieces of a request while the rate is not known: twice as many with each that was brought, as TCP begins. Between each two of one piece
   * a long way's round trip would pass; many at once would be left with who is slow.
   */
  opening = 1;
  /** Bytes that came in all. */
  bytes = 0;
  waitUntil = 0;
  heardAt = 0;
  /** Since when it has no request. */
  idleSince = 0;
  /** A seed that may be asked until then for what others could bring as well (choose-pieces.ts). */
  openUntil = 0;
  #failures = 0;
  #counted = 0;
  #countedAt = 0;

  constructor(id: string, now: number) {
    this.id = id;
    this.idleSince = now;
    this.#countedAt = now;
  }

  hasPiece(piece: number): boolean {
    return this.has === undefined || this.has.has(piece);
  }

  /** Bytes a second of one of its requests. */
  get laneRate(): number {
    return this.rate / Math.max(1, this.requests.size);
  }

  heard(bytes: number, now: number): void {
    this.heardAt = now;
    this.bytes += bytes;
  }

  succeeded(): void {
    this.#failures = 0;
  }

  failed(now: number, bounds: BackoffBounds, random: () => number): void {
    if (this.mode !== 'ready' && this.mode !== 'waiting') return;
    this.mode = 'waiting';
    this.waitUntil = now + backoffMs(this.#failures++, bounds, random);
  }

  startMeasuring(now: number): void {
    this.#counted = this.bytes;
    this.#countedAt = now;
  }

  /** Takes the rate anew, from time to time. While it has nothing to do, the last one stays. */
  measure(now: number): void {
    const ms = now - this.#countedAt;
    if (ms < 200) return;
    if (this.requests.size > 0) {
      const seen = ((this.bytes - this.#counted) * 1000) / ms;
      this.rate = this.rate === 0 ? seen : this.rate * 0.6 + seen * 0.4;
    }
    this.#counted = this.bytes;
    this.#countedAt = now;
  }
}
