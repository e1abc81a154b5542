import { Failure } from '../lib/failure.ts';
import {
  maxLifeMs,
  maxProviders,
  maxRetrieved,
  maxStored,
  maxValue,
  problemOfRecord,
  tombstoneLifeMs,
} from './bounds.ts';
import { gather, type Holders, holdersOf, isAcknowledged } from './holders.ts';
import type { Identifier } from './identifier.ts';
import { lastBefore } from './lookup.ts';
import { every } from './maintenance.ts';
import type { ChordNode } from './node.ts';
import type { Peer } from './peer.ts';
import type { Fetched, RingCalls, RingClock, RingEvent, RingOptions, StorageCall } from './ports.ts';
import { Publisher } from './publisher.ts';
import { compare } from './reconcile.ts';
import { isHigher, type RingRecord, type StoreReply, slotOf, type UnsignedRecord } from './record.ts';
import { RecordStore, type StoreBounds } from './record-store.ts';
import { Repair } from './repair.ts';

export interface StoragePorts {
  readonly clock: RingClock;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  /** The member that writes here. */
  readonly writer: string;
  /** Signs `signedOctets` with the member's key. */
  readonly sign: (record: UnsignedRecord) => Pick<RingRecord, 'publicKey' | 'signature'>;
  /** Whether the public key is the writer's (its hash is the id), and the signature is over `signedOctets`. */
  readonly isAuthentic: (record: RingRecord) => boolean;
  readonly emit?: (event: RingEvent) => void;
  /** See `PublisherNeeds`; 0 unless told. */
  readonly firstCounter?: number;
}

export interface StorageOptions extends Pick<RingOptions, 'k' | 'r' | 'repairMs'> {
  /** Puts and gets try for so long. */
  readonly patienceMs: number;
  /** What is published is written again three times in this life. */
  readonly providerLifeMs: number;
  readonly bounds?: StoreBounds;
}

export const liveStorageOptions = { patienceMs: 10_000, providerLifeMs: 15 * 60_000 };

/** A value as somebody reads it. */
export interface Value {
  readonly value: Uint8Array;
  readonly writer: string;
  readonly counter: number;
}

const backoffMs = 100;

/**
 * Keeps values and provider records on the ring: what this node holds for others, and puts and gets for its own member.
 *
 * A put is acknowledged once the owner and, with it, a majority of the k holders have it; a get asks them all and goes by a majority with the
 * owner in it, of which the highest version wins. The owner answers only for the part of its arc for which it has compared with the next k − 1
 * nodes since it owns it (*settled*): after it took over from a node that died, or joined before another, it first learns what they know.
 */
export class RingStorage {
  readonly store: RecordStore;
  /** Which files this member has. */
  readonly publisher: Publisher;
  readonly #node: ChordNode;
  readonly #ports: StoragePorts;
  readonly #options: StorageOptions;
  readonly #repair: Repair;
  #counter = 0;
  /** The era that it is about to end by itself. */
  #leavingIn = -1;

  constructor(node: ChordNode, ports: StoragePorts, options: StorageOptions) {
    this.#node = node;
    this.#ports = ports;
    this.#options = options;
    this.store = new RecordStore(options.bounds);
    this.#repair = new Repair(node, this.store, ports, options, record => void this.#keep(record));
    const { clock, random, writer, sign, firstCounter = 0 } = ports;
    this.publisher = new Publisher(
      {
        ...{ node, clock, random, writer, sign, firstCounter },
        counterOf: async key => {
          const { records } = await this.#read(key, 'provider');
          return records.find(record => record.writer === writer)?.counter ?? 0;
        },
        storeAll: (to, request) => this.#call(to, 'storeAll', request),
      },
      options,
    );
  }

  /** Begins to repair and to publish. @returns ends both */
  maintain(): () => void {
    const { clock, random } = this.#ports;
    const stops = [
      this.#repair.maintain(),
      this.publisher.maintain(),
      every(60_000, async () => this.store.expire(clock.now()), clock, random),
    ];
    return () => {
      for (const stop of stops) stop();
    };
  }

  /**
   * @param lifeMs after that it is forgotten; a week at most, which is the default
   * @throws Failure `TOO_LARGE`, `REFUSED` (over a bound of the holders), `NO_MAJORITY` (perhaps some have it), `OUTSIDE`
   */
  async put(key: Identifier, value: Uint8Array, lifeMs = maxLifeMs): Promise<void> {
    if (value.length > maxValue) throw new Failure('TOO_LARGE', `a value has ${maxValue} octets at most`);
    await this.#write(key, value, lifeMs);
  }

  /** @returns undefined where there is none @throws Failure `NO_MAJORITY`, `OUTSIDE` */
  async get(key: Identifier): Promise<Value | undefined> {
    const [newest] = (await this.#read(key, 'value')).records;
    return newest?.value && { value: newest.value, writer: newest.writer, counter: newest.counter };
  }

  /** As `put`. What was removed stays so while its tombstone lives, a day. */
  async remove(key: Identifier): Promise<void> {
    await this.#write(key, undefined, tombstoneLifeMs);
  }

  /** Says that this member has a file, from now on until `withdraw`. @throws as `put` */
  async provide(file: Identifier, about: () => Uint8Array = () => new Uint8Array()): Promise<void> {
    this.publisher.add(file, about);
    await this.#published(file);
  }

  /** @throws as `put` */
  async withdraw(file: Identifier): Promise<void> {
    this.publisher.remove(file);
    await this.#published(file);
  }

  async #published(file: Identifier): Promise<void> {
    const endsAt = this.#ports.clock.now() + this.#options.patienceMs;
    await this.#persist(file, endsAt, 'was not acknowledged', async () => {
      const written = await this.publisher.write(file);
      if (written === 'refused') throw new Failure('REFUSED', 'the record was refused: its holders have too many');
      return written === 'stored' ? true : undefined;
    });
  }

  /** Members that have a file, and what they say of themselves. @throws as `get` */
  async providers(file: Identifier): Promise<Value[]> {
    const { records } = await this.#read(file, 'provider');
    return records.flatMap(({ value, writer, counter }) => (value ? [{ value, writer, counter }] : []));
  }

  /** Before leaving: the nodes that will hold this one's keys have them. */
  async handOver(): Promise<void> {
    // What comes from here on would go with it, acknowledged.
    this.#leavingIn = this.#node.era;
    await this.#repair.handOver();
  }

  /** Something changed near: compare with the other holders now. */
  hear(): void {
    this.#repair.soon();
  }

  /** @throws Failure `OUTSIDE` while the node is no member */
  answer<K extends StorageCall>(call: K, request: RingCalls[K]['request'], from: Peer): RingCalls[K]['reply'];
  answer(call: StorageCall, request: object, from: Peer): RingCalls[StorageCall]['reply'] {
    if (!this.#node.isMember) throw new Failure('OUTSIDE', 'the node is in no ring');
    const now = this.#ports.clock.now();
    switch (call) {
      case 'store': {
        const { record, asOwner } = request as RingCalls['store']['request'];
        return this.#store(record, asOwner);
      }
      case 'storeAll': {
        const { records, asOwner } = request as RingCalls['storeAll']['request'];
        const replies = records.slice(0, maxStored).map((record): StoreReply => {
          if (record.kind !== 'provider') return { status: 'refused', reason: 'only providers are told of together' };
          return this.#store(record, asOwner);
        });
        return { replies };
      }
      case 'fetch': {
        const { key, kind } = request as RingCalls['fetch']['request'];
        const isSettledOwner = this.#repair.isSettled(key);
        // A comparison failed: whoever asks would have to wait for the next one.
        if (!isSettledOwner && this.#node.owns(key)) this.#repair.soon();
        return { records: this.store.of(key, kind, now), isSettledOwner };
      }
      case 'reconcile': {
        const asked = request as RingCalls['reconcile']['request'];
        const compared = compare(this.store, asked, now);
        return { ...compared, ...this.#repair.heard(asked, from, compared) };
      }
      case 'retrieve': {
        const { slots } = request as RingCalls['retrieve']['request'];
        const found = slots.slice(0, maxRetrieved).map(slot => this.store.get(slot, now));
        return { records: found.filter(record => record !== undefined) };
      }
    }
  }

  #store(record: RingRecord, asOwner: boolean): StoreReply {
    const isLeaving = this.#leavingIn === this.#node.era;
    return isLeaving || (asOwner && !this.#node.owns(record.key)) ? { status: 'not-owner' } : this.#keep(record);
  }

  #keep(record: RingRecord): StoreReply {
    const reason = problemOfRecord(record);
    if (reason !== undefined) return { status: 'refused', reason };
    if (!this.#ports.isAuthentic(record)) return { status: 'refused', reason: 'the signature is not its writer’s' };
    return this.store.put(record, this.#ports.clock.now());
  }

  async #write(key: Identifier, value: Uint8Array | undefined, lifeMs: number): Promise<void> {
    const { writer, sign, clock } = this.#ports;
    const endsAt = clock.now() + this.#options.patienceMs;
    const [seen] = (await this.#read(key, 'value')).records;
    this.#counter = Math.max(this.#counter, seen?.counter ?? 0) + 1;
    const unsigned = { key, kind: 'value' as const, writer, counter: this.#counter, value, lifeMs };
    const record = { ...unsigned, leftMs: lifeMs, ...sign(unsigned) };
    await this.#persist(key, endsAt, 'was not acknowledged', async holders => {
      const replies = await gather(
        holders.peers.map((peer, at) => this.#call(peer, 'store', { record, asOwner: at === 0 })),
        came => isAcknowledged(came, holders),
      );
      if (isAcknowledged(replies, holders)) return true;
      const refusal = replies.find(reply => reply?.status === 'refused');
      if (refusal) throw new Failure('REFUSED', `the record was refused: ${refusal.reason ?? 'for no reason given'}`);
      return undefined;
    });
  }

  /** @returns for each slot the highest version, tombstones included */
  async #read(key: Identifier, kind: RingRecord['kind']): Promise<{ records: readonly RingRecord[] }> {
    const endsAt = this.#ports.clock.now() + this.#options.patienceMs;
    return this.#persist(key, endsAt, 'was not read', async ({ peers, needed }) => {
      const count = (came: readonly (Fetched | undefined)[]): number =>
        came.filter(reply => reply !== undefined).length;
      const isEnough = (came: readonly (Fetched | undefined)[]): boolean =>
        came[0]?.isSettledOwner === true && count(came) >= needed;
      const replies = await gather(
        peers.map(peer => this.#call(peer, 'fetch', { key, kind })),
        isEnough,
      );
      if (!isEnough(replies)) return undefined;
      const highest = new Map<string, RingRecord>();
      for (const record of replies.flatMap(reply => reply?.records.slice(0, maxProviders) ?? [])) {
        const slot = slotOf(record);
        const isFitting = record.key === key && record.kind === kind && problemOfRecord(record) === undefined;
        if (isFitting && isHigher(record, highest.get(slot)) && this.#ports.isAuthentic(record))
          highest.set(slot, record);
      }
      return { records: [...highest.values()] };
    });
  }

  /** Again with the holders as they are then, until it gives something or the time is up. */
  async #persist<T>(
    key: Identifier,
    endsAt: number,
    what: string,
    attempt: (holders: Holders) => Promise<T | undefined>,
  ): Promise<T> {
    const { clock, random } = this.#ports;
    for (let wait = backoffMs; ; wait = Math.min(2 * wait, 4 * backoffMs)) {
      const found = await this.#node.lookup(key).catch(error => {
        if (!this.#node.isMember) throw error;
        return undefined;
      });
      const holders = found && holdersOf(found, this.#options);
      const result = holders && (await attempt(holders));
      if (result !== undefined) return result;
      if (clock.now() + wait > endsAt)
        throw new Failure('NO_MAJORITY', `the key ${what}: no majority of its holders answers`);
      // They may not have noticed yet that a node next to them died: the holders, and who named the owner.
      const near = new Map(
        [...(holders?.peers ?? []), ...(found ? lastBefore(found) : [])].map(peer => [peer.id, peer]),
      );
      near.delete(this.#node.self.id);
      for (const peer of near.values()) void this.#node.ask(peer, 'nudge', {});
      this.#node.nudge();
      await new Promise<void>(resolve => void clock.after(wait * (0.5 + random()), resolve));
    }
  }

  async #call<K extends StorageCall>(
    peer: Peer,
    call: K,
    request: RingCalls[K]['request'],
  ): Promise<RingCalls[K]['reply'] | undefined> {
    if (peer.id === this.#node.self.id) return this.answer(call, request, peer);
    return this.#node.ask(peer, call, request);
  }
}
