import { LeaseTable } from '../lib/lease.ts';

/** Who is there: sessions and members by their peer ids, in memory only. After a restart each is back with its next ping. */
export class Presence {
  readonly #leases = new LeaseTable();
  /** Since when without a break. */
  readonly #since = new Map<string, number>();
  readonly #clock: () => number;
  readonly leaseMs: number;

  /** @param clock milliseconds, monotonic */
  constructor(clock: () => number, leaseMs: number) {
    this.#clock = clock;
    this.leaseMs = leaseMs;
  }

  renew(peerId: string): void {
    const at = this.#clock();
    for (const gone of this.#leases.expire(at)) this.#since.delete(gone);
    if (this.#leases.renew(peerId, this.leaseMs, at)) this.#since.set(peerId, at);
  }

  end(peerId: string): void {
    this.#leases.end(peerId);
    this.#since.delete(peerId);
  }

  isActive(peerId: string): boolean {
    return this.#leases.isLive(peerId, this.#clock());
  }

  /** Milliseconds, 1 at least; 0: it is not active. */
  activeForMs(peerId: string): number {
    const at = this.#clock();
    return this.#leases.isLive(peerId, at) ? Math.max(1, Math.round(at - (this.#since.get(peerId) ?? at))) : 0;
  }
}
