import { maxOctets, maxProvidedOfWriter, maxProviders, maxSlots, maxSlotsOfWriter } from './bounds.ts';
import type { Identifier } from './identifier.ts';
import { type Digest, isHigher, type RingRecord, type Slot, type StoreReply, slotOf } from './record.ts';

interface Held {
  readonly record: RingRecord;
  readonly slot: Slot;
  /** On the holder's monotonic clock. */
  readonly expiresAt: number;
}

export interface StoreBounds {
  readonly maxSlots: number;
  readonly maxSlotsOfWriter: number;
  readonly maxProvidedOfWriter: number;
  readonly maxProviders: number;
  readonly maxOctets: number;
}

export const storeBounds: StoreBounds = {
  ...{ maxSlots, maxSlotsOfWriter, maxProvidedOfWriter, maxProviders, maxOctets },
};

/** The records of one node, in memory: the highest version for each slot, until its life ends. */
export class RecordStore {
  readonly #bounds: StoreBounds;
  readonly #held = new Map<Slot, Held>();
  readonly #byKey = new Map<Identifier, Set<Slot>>();
  /** By `countedAs`. */
  readonly #slotsOfWriter = new Map<string, number>();
  /** The keys in order, until one comes or goes. */
  #sorted: Identifier[] | undefined;
  #octets = 0;

  constructor(bounds: StoreBounds = storeBounds) {
    this.#bounds = bounds;
  }

  get size(): number {
    return this.#held.size;
  }

  get octets(): number {
    return this.#octets;
  }

  put(record: RingRecord, now: number): StoreReply {
    const slot = slotOf(record);
    const old = this.#get(slot, now);
    if (old && !isHigher(record, old.record)) return { status: 'superseded' };
    const reason = this.#overBound(record, old);
    if (reason !== undefined) return { status: 'refused', reason };
    if (old) this.#uncount(old);
    this.#held.set(slot, { record, slot, expiresAt: now + record.leftMs });
    const slots = this.#byKey.get(record.key);
    if (slots) slots.add(slot);
    else {
      this.#byKey.set(record.key, new Set([slot]));
      this.#sorted = undefined;
    }
    const counted = countedAs(record);
    this.#slotsOfWriter.set(counted, (this.#slotsOfWriter.get(counted) ?? 0) + 1);
    this.#octets += record.value?.length ?? 0;
    return { status: 'stored' };
  }

  /** With what is left of its life. */
  get(slot: Slot, now: number): RingRecord | undefined {
    const held = this.#get(slot, now);
    return held && { ...held.record, leftMs: held.expiresAt - now };
  }

  /** All of a key and kind, tombstones included. */
  of(key: Identifier, kind: RingRecord['kind'], now: number): RingRecord[] {
    const found: RingRecord[] = [];
    for (const slot of this.#byKey.get(key) ?? []) {
      const record = this.get(slot, now);
      if (record?.kind === kind) found.push(record);
    }
    return found;
  }

  /** Which versions lie on an arc, `from` excluded and `to` included, in order of their keys. */
  on(from: Identifier, to: Identifier, now: number): (Digest & { readonly key: Identifier })[] {
    const found: (Digest & { readonly key: Identifier })[] = [];
    for (const key of this.#keysOn(from, to)) {
      for (const slot of this.#byKey.get(key) ?? []) {
        const held = this.#get(slot, now);
        if (held) found.push({ slot, key, counter: held.record.counter, writer: held.record.writer });
      }
    }
    return found;
  }

  /** A key that `isOther`, if there is one. */
  find(isOther: (key: Identifier) => boolean): Identifier | undefined {
    for (const key of this.#byKey.keys()) if (isOther(key)) return key;
    return undefined;
  }

  /** Unless it has a higher version by now. */
  forget({ slot, counter, writer }: Digest): void {
    const held = this.#held.get(slot);
    if (held?.record.counter === counter && held.record.writer === writer) this.#remove(held);
  }

  /** Drops what has lived. */
  expire(now: number): void {
    for (const held of this.#held.values()) if (now >= held.expiresAt) this.#remove(held);
  }

  clear(): void {
    this.#held.clear();
    this.#byKey.clear();
    this.#slotsOfWriter.clear();
    this.#sorted = undefined;
    this.#octets = 0;
  }

  #keysOn(from: Identifier, to: Identifier): Identifier[] {
    this.#sorted ??= [...this.#byKey.keys()].sort((one, other) => (one < other ? -1 : 1));
    const first = firstAbove(this.#sorted, from);
    const end = firstAbove(this.#sorted, to);
    // Past the end of the circle and on from its beginning; all around where both are the same.
    return from < to ? this.#sorted.slice(first, end) : [...this.#sorted.slice(first), ...this.#sorted.slice(0, end)];
  }

  #get(slot: Slot, now: number): Held | undefined {
    const held = this.#held.get(slot);
    if (!held || now < held.expiresAt) return held;
    this.#remove(held);
    return undefined;
  }

  #overBound(record: RingRecord, old: Held | undefined): string | undefined {
    const { maxSlots, maxProviders, maxOctets } = this.#bounds;
    const mostOfWriter = record.kind === 'value' ? this.#bounds.maxSlotsOfWriter : this.#bounds.maxProvidedOfWriter;
    if (!old && this.#held.size >= maxSlots) return 'this node keeps as many records as it may';
    const isNewForWriter = old?.record.writer !== record.writer;
    if (isNewForWriter && (this.#slotsOfWriter.get(countedAs(record)) ?? 0) >= mostOfWriter)
      return `this node keeps ${mostOfWriter} records of this writer already`;
    const growth = (record.value?.length ?? 0) - (old?.record.value?.length ?? 0);
    if (growth > 0 && this.#octets + growth > maxOctets) return 'this node keeps as many octets as it may';
    if (!old && record.kind === 'provider') {
      let count = 0;
      for (const slot of this.#byKey.get(record.key) ?? []) if (slot.startsWith('p:')) count++;
      if (count >= maxProviders) return `this node keeps ${maxProviders} providers of this file already`;
    }
    return undefined;
  }

  #remove(held: Held): void {
    const { record, slot } = held;
    this.#held.delete(slot);
    const slots = this.#byKey.get(record.key);
    slots?.delete(slot);
    if (slots?.size === 0) {
      this.#byKey.delete(record.key);
      this.#sorted = undefined;
    }
    this.#uncount(held);
  }

  #uncount({ record }: Held): void {
    const counted = countedAs(record);
    const left = (this.#slotsOfWriter.get(counted) ?? 1) - 1;
    if (left === 0) this.#slotsOfWriter.delete(counted);
    else this.#slotsOfWriter.set(counted, left);
    this.#octets -= record.value?.length ?? 0;
  }
}

function countedAs({ kind, writer }: Pick<RingRecord, 'kind' | 'writer'>): string {
  return `${kind} ${writer}`;
}

/** Where in a sorted list the first lies that is greater; its length if there is none. */
function firstAbove(sorted: readonly Identifier[], key: Identifier): number {
  let end = sorted.length;
  for (let low = 0; low < end; ) {
    const middle = (low + end) >>> 1;
    if ((sorted[middle] as Identifier) <= key) low = middle + 1;
    else end = middle;
  }
  return end;
}
