import type { Presence } from './presence.ts';
import type { Session } from './store.ts';

export interface ActivePeer {
  readonly peerId: string;
  readonly username: string;
  readonly addresses: string[];
}

/** Who is there: peers with a session whose lease is live. Of several such the newest says where the peer is. */
export class ActivePeers {
  readonly #sessions: () => readonly Session[];
  readonly #presence: Presence;

  /** @param needs.sessions those that are valid, of one peer the newest first */
  constructor({ sessions, presence }: { sessions: () => readonly Session[]; presence: Presence }) {
    this.#sessions = sessions;
    this.#presence = presence;
  }

  /** By id. */
  all(): ActivePeer[] {
    const found = new Map<string, ActivePeer>();
    for (const { id, peerId, username, addresses } of this.#sessions())
      if (!found.has(peerId) && this.#presence.isActive(id))
        found.set(peerId, { peerId, username, addresses: [...addresses] });
    return [...found.values()].sort((one, other) => (one.peerId < other.peerId ? -1 : 1));
  }
}
