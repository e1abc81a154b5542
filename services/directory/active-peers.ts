import { LeaseTable } from '../lib/lease.ts';
import type { Session } from './store.ts';

export interface ActivePeer {
  readonly peerId: string;
  readonly username: string;
  readonly addresses: string[];
}

/** Who is there: peers with a session whose lease is live. Of several such the newest says where the peer is. */
export class ActivePeers {
  readonly #sessions: () => readonly Session[];
  readonly #clock: () => number;
  readonly #leaseMs: number;
  readonly #leases = new LeaseTable();

  /** @param needs.sessions those that are valid, by peer, and of one peer the newest first */
  constructor(
    { sessions, clock }: { sessions: () => readonly Session[]; clock: () => number },
    { leaseMs }: { leaseMs: number },
  ) {
    this.#sessions = sessions;
    this.#clock = clock;
    this.#leaseMs = leaseMs;
  }

  renew(session: string): void {
    const at = this.#clock();
    this.#leases.expire(at);
    this.#leases.renew(session, this.#leaseMs, at);
  }

  end(session: string): void {
    this.#leases.end(session);
  }

  /** By id. */
  all(): ActivePeer[] {
    return [...this.byId().values()];
  }

  byId(): Map<string, ActivePeer> {
    const at = this.#clock();
    const found = new Map<string, ActivePeer>();
    for (const { id, peerId, username, addresses } of this.#sessions())
      if (!found.has(peerId) && this.#leases.isLive(id, at))
        found.set(peerId, { peerId, username, addresses: [...addresses] });
    return found;
  }
}
