import { setTimeout as wait } from 'node:timers/promises';
import { Revocation } from '../../proto/gen/warren/directory/v1/membership.ts';
import type { Bus, Outgoing } from '../bus/bus.ts';
import type { Revoked } from './member-store.ts';
import type { DirectoryStore } from './store.ts';

const atOnce = 100;

/** As members hear it. */
function revocationMessage({ number, revoked, signature }: Revoked): Outgoing {
  const told = Revocation.create({ number, revoked: Buffer.from(revoked), signature: Buffer.from(signature) });
  return { type: 'warren.directory.v1.Revocation', key: 'revoked', body: Revocation.encode(told).finish() };
}

/** A broker that has not taken them by then has them taken to members by nobody. */
const tellMs = 2_000;
/** The broker has taken them, and members have still to read them, before an account may go. */
const graceMs = 250;

/**
 * Publishes them while the accounts that they are about are still there: whoever has to go hears why, which the broker would not say.
 * As far as that can be done within some 2 s.
 * @returns how many the broker has taken
 */
export async function tellOfRevocations(bus: Bus, news: readonly Revoked[]): Promise<number> {
  const signal = AbortSignal.timeout(tellMs);
  let told = 0;
  try {
    await bus.ready(signal);
    for (const each of news) {
      await bus.publish(revocationMessage(each), signal);
      told++;
    }
  } catch {
    // No broker, or an account that may not.
  }
  if (told > 0) await wait(graceMs);
  return told;
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

  /** Resolves when what is new has been told, or cannot be now. */
  async tell(): Promise<void> {
    const news = this.#store.members.revocations(this.#told, atOnce);
    // Without a broker nobody is there to hear, and no account can go.
    if (news.length === 0 || this.#bus.state !== 'up') return;
    const told = await tellOfRevocations(this.#bus, news);
    this.#told = news[told - 1]?.number ?? this.#told;
  }
}
