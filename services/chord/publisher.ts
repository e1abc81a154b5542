import { Failure } from '../lib/failure.ts';
import { maxProvidedOfWriter, maxStored } from './bounds.ts';
import { gather, type Holders, holdersOf, isAcknowledged } from './holders.ts';
import { distance, type Identifier, isUpTo } from './identifier.ts';
import type { Lookup } from './lookup.ts';
import { every } from './maintenance.ts';
import type { ChordNode } from './node.ts';
import type { Peer } from './peer.ts';
import type { RingCalls, RingClock, RingOptions } from './ports.ts';
import type { RingRecord, StoreReply, UnsignedRecord } from './record.ts';

export interface PublisherNeeds {
  readonly node: ChordNode;
  readonly clock: RingClock;
  readonly random: () => number;
  /** The member that publishes. */
  readonly writer: string;
  readonly sign: (record: UnsignedRecord) => Pick<RingRecord, 'publicKey' | 'signature'>;
  /** Above all that this member has numbered its records with in an earlier life; for the next one to be above its own, it is the time of day. */
  readonly firstCounter: number;
  /** The counter of what the ring has of this member's for a key, proven; 0 when it has nothing. @throws Failure `NO_MAJORITY` */
  readonly counterOf: (key: Identifier) => Promise<number>;
  readonly storeAll: (
    to: Peer,
    request: RingCalls['storeAll']['request'],
  ) => Promise<RingCalls['storeAll']['reply'] | undefined>;
}

export interface PublisherOptions extends Pick<RingOptions, 'k' | 'r'> {
  /** What is published is written again three times in this life. */
  readonly providerLifeMs: number;
}

interface Publication {
  readonly key: Identifier;
  /** Undefined: withdrawn; gone once the ring knows. */
  readonly about: (() => Uint8Array) | undefined;
  /** On the clock. */
  dueAt: number;
}

type Written = StoreReply['status'] | 'silent';

/** Between looks at what is due, on average. */
const lookMs = 1_000;
/** What comes together goes together. */
const soonMs = 50;
/** Between batches: a thousand records a second at most, so that a member with many files does not keep the ring from its work. */
const paceMs = 60;
/** What failed is written again after this. */
const againMs = 5_000;

/**
 * Keeps what this member says of itself (which files it has) on the ring: writes it when it is new, again before it expires, and takes it
 * back. Neighbouring keys have the same holders, so one lookup and one call to each holder tell them of many.
 */
export class Publisher {
  readonly #needs: PublisherNeeds;
  readonly #options: PublisherOptions;
  readonly #published = new Map<Identifier, Publication>();
  #counter: number;
  #running: Promise<void> | undefined;
  #cancelSoon: (() => void) | undefined;
  #isMaintained = false;

  constructor(needs: PublisherNeeds, options: PublisherOptions) {
    this.#needs = needs;
    this.#options = options;
    this.#counter = needs.firstCounter;
  }

  /** Files that are published. */
  get size(): number {
    return this.#published.size;
  }

  maintain(): () => void {
    const { clock, random } = this.#needs;
    this.#isMaintained = true;
    const stop = every(lookMs, () => this.#run(), clock, random);
    return () => {
      this.#isMaintained = false;
      stop();
      this.#cancelSoon?.();
      this.#cancelSoon = undefined;
    };
  }

  /**
   * From now on, soon, and until it is removed.
   * @param about what is said with it, as it is at the time
   * @throws Failure `REFUSED` there are too many already
   */
  add(key: Identifier, about: () => Uint8Array): void {
    if (!this.#published.has(key) && this.#published.size >= maxProvidedOfWriter)
      throw new Failure('REFUSED', `a member may say of ${maxProvidedOfWriter} files that it has them`);
    this.#published.set(key, { key, about, dueAt: this.#needs.clock.now() });
    this.#soon();
  }

  remove(key: Identifier): void {
    this.#published.set(key, { key, about: undefined, dueAt: this.#needs.clock.now() });
    this.#soon();
  }

  /** What is to be said of a key is said now. @returns how that went, at the node that kept it from a majority if one did */
  async write(key: Identifier): Promise<Written> {
    const found = await this.#needs.node.lookup(key).catch(() => undefined);
    const publication = this.#published.get(key);
    if (!publication) return 'stored';
    if (!found) return 'silent';
    const [written = 'silent'] = await this.#store(found, [publication]);
    return written;
  }

  #soon(): void {
    if (!this.#isMaintained) return;
    this.#cancelSoon ??= this.#needs.clock.after(soonMs, () => {
      this.#cancelSoon = undefined;
      void this.#run();
    });
  }

  #run(): Promise<void> {
    this.#running ??= this.#round().finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  async #round(): Promise<void> {
    const { node, clock, random } = this.#needs;
    const from = node.self.id;
    const now = clock.now();
    const due = [...this.#published.values()].filter(({ dueAt }) => dueAt <= now);
    due.sort((one, other) => (distance(from, one.key) < distance(from, other.key) ? -1 : 1));
    for (let at = 0; at < due.length && node.isMember && this.#isMaintained; ) {
      const first = due[at] as Publication;
      const found = await node.lookup(first.key).catch(() => undefined);
      const batch = due.slice(at, at + 1);
      if (found)
        for (let next = due[at + 1]; next && batch.length < maxStored; next = due[at + batch.length])
          if (isOf(found, next.key)) batch.push(next);
          else break;
      at += batch.length;
      const current = batch.filter(publication => this.#published.get(publication.key) === publication);
      if (found) await this.#store(found, current);
      else for (const publication of current) publication.dueAt = clock.now() + againMs;
      if (at < due.length) await new Promise<void>(resolve => void clock.after(paceMs * (0.5 + random()), resolve));
    }
  }

  /** To all holders at once. */
  async #store(found: Lookup, batch: readonly Publication[]): Promise<Written[]> {
    const { clock, random } = this.#needs;
    const written = await this.#attempt(found, batch);
    const { providerLifeMs } = this.#options;
    for (const [at, publication] of batch.entries()) {
      if (written[at] === 'superseded') written[at] = await this.#surpass(found, publication);
      const isWritten = written[at] === 'stored';
      const { key, about } = publication;
      if (isWritten && about === undefined && this.#published.get(key) === publication) this.#published.delete(key);
      publication.dueAt = clock.now() + (isWritten ? (providerLifeMs / 3) * (0.75 + random() / 2) : againMs);
    }
    return written;
  }

  /** The owner has another one: of an earlier life of this member with a clock that went ahead, or this very one, if it came twice. */
  async #surpass(found: Lookup, publication: Publication): Promise<Written> {
    const counter = await this.#needs.counterOf(publication.key).catch(() => undefined);
    if (counter === undefined) return 'silent';
    this.#counter = Math.max(this.#counter, counter);
    const [again = 'silent'] = await this.#attempt(found, [publication]);
    return again === 'superseded' ? 'stored' : again;
  }

  async #attempt(found: Lookup, batch: readonly Publication[]): Promise<Written[]> {
    const { writer, sign, storeAll } = this.#needs;
    const lifeMs = this.#options.providerLifeMs;
    const records = batch.map(({ key, about }): RingRecord => {
      const unsigned = { key, kind: 'provider' as const, writer, counter: ++this.#counter, value: about?.(), lifeMs };
      return { ...unsigned, leftMs: lifeMs, ...sign(unsigned) };
    });
    const holders = holdersOf(found, this.#options);
    const each = (came: Replies): Written[] => records.map((_, at) => outcome(came, at, holders));
    const came = await gather(
      holders.peers.map((peer, at) => storeAll(peer, { records, asOwner: at === 0 })),
      some => each(some).every(result => result === 'stored' || result === 'superseded'),
    );
    return each(came);
  }
}

type Replies = readonly (RingCalls['storeAll']['reply'] | undefined)[];

/** Of one record. */
function outcome(came: Replies, at: number, holders: Holders): Written {
  const replies = came.map(reply => reply?.replies[at]);
  const [owner] = replies;
  if (owner && isAcknowledged(replies, holders)) return owner.status;
  return replies.find(reply => reply?.status === 'refused' || reply?.status === 'not-owner')?.status ?? 'silent';
}

/** Whether the owner that was found owns this key as well, as it says. */
function isOf({ owner, predecessor }: Lookup, key: Identifier): boolean {
  return predecessor !== undefined && isUpTo(predecessor.id, key, owner.id);
}
