import { Revocation } from '../../proto/gen/warren/directory/v1/membership.ts';
import type { Bus, Outgoing } from '../bus/bus.ts';
import type { Revoked } from './member-store.ts';
import type { DirectoryStore } from './store.ts';

const atOnce = 100;

/** As members hear it. */
export function revocationMessage({ number, revoked, signature }: Revoked): Outgoing {
  const told = Revocation.create({ number, revoked: Buffer.from(revoked), signature: Buffer.from(signature) });
  return { type: 'warren.directory.v1.Revocation', key: 'revoked', body: Revocation.encode(told).finish() };
}

/**
 * Tells members of revocations as they come, once each, in order. Lost is no harm: members also ask for the list whenever they
 * connect, and every minute.
 */
export class RevocationFeed {
  readonly #store: DirectoryStore;
  readonly #bus: Bus;
  #told: number;

  constructor(store: DirectoryStore, bus: Bus) {
    this.#store = store;
    this.#bus = bus;
    this.#told = store.members.lastRevocation();
  }

  /** @returns whether there was any that is not told yet, whether it could be told now or not */
  tell(): boolean {
    const news = this.#store.members.revocations(this.#told, atOnce);
    for (const each of news) {
      if (!this.#bus.send(revocationMessage(each))) break;
      this.#told = each.number;
    }
    return news.length > 0;
  }
}
