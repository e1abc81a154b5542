import { formatIdentifier, type Identifier, parseIdentifier } from './identifier.ts';

/**
 * What the ring keeps. A `value` is one for its key, whoever wrote it; `provider` records say who has a file (the key is the file's id), one for
 * each writer. Signed by the writer, for holders pass them on.
 */
export interface RingRecord {
  readonly key: Identifier;
  readonly kind: 'value' | 'provider';
  /** Member id, 64 lower-case hex digits. */
  readonly writer: string;
  /** From 1; the writer's own, above all that it has seen for the slot. */
  readonly counter: number;
  /** Undefined: a tombstone, which says that there is nothing any more. */
  readonly value: Uint8Array | undefined;
  /** How long it was to live when it was written. Milliseconds. */
  readonly lifeMs: number;
  /** What is left of that where it is sent; not signed. Times of day are never compared across machines. */
  readonly leftMs: number;
  /** The writer's, raw. */
  readonly publicKey: Uint8Array;
  readonly signature: Uint8Array;
}

/** Everything but what a signer adds, and what passes. */
export type UnsignedRecord = Omit<RingRecord, 'leftMs' | 'publicKey' | 'signature'>;

/** Where a record lies: `v:<key>` or `p:<key>:<writer>`. Of the records for a slot the highest version wins. */
export type Slot = string;

export interface Version {
  readonly counter: number;
  readonly writer: string;
}

/** Which version somebody has. */
export interface Digest extends Version {
  readonly slot: Slot;
}

export interface StoreReply {
  /** `superseded`: it has this one or a higher one. `refused`: over a bound, or false. `not-owner`: and has not kept it. */
  readonly status: 'stored' | 'superseded' | 'refused' | 'not-owner';
  /** For people, when it was refused. */
  readonly reason?: string;
}

/** It is there, or a higher version is. */
export function isKept(reply: StoreReply | undefined): boolean {
  return reply?.status === 'stored' || reply?.status === 'superseded';
}

export function slotOf({ kind, key, writer }: Pick<RingRecord, 'kind' | 'key' | 'writer'>): Slot {
  return kind === 'value' ? `v:${formatIdentifier(key)}` : `p:${formatIdentifier(key)}:${writer}`;
}

/** @returns undefined for what is no slot */
export function keyOfSlot(slot: Slot): Identifier | undefined {
  return /^(?:v:[0-9a-f]{40}|p:[0-9a-f]{40}:[0-9a-f]{64})$/.test(slot) ? parseIdentifier(slot.slice(2, 42)) : undefined;
}

/** By the counter, and where two writers had the same by the writer. */
export function isHigher(one: Version, other: Version | undefined): boolean {
  if (other === undefined || one.counter !== other.counter) return one.counter > (other?.counter ?? 0);
  return one.writer > other.writer;
}

/** What the signature is over: every field at a fixed place. */
export function signedOctets({ key, kind, writer, counter, value, lifeMs }: UnsignedRecord): Uint8Array {
  const head = new Uint8Array(1 + 20 + 32 + 8 + 8);
  const view = new DataView(head.buffer);
  head[0] = (kind === 'value' ? 0 : 1) + (value === undefined ? 2 : 0);
  const hex = formatIdentifier(key) + writer;
  for (let at = 0; at < 52; at++) head[1 + at] = Number.parseInt(hex.slice(2 * at, 2 * at + 2), 16);
  view.setBigUint64(53, BigInt(counter));
  view.setBigUint64(61, BigInt(lifeMs));
  const octets = new Uint8Array(head.length + (value?.length ?? 0));
  octets.set(head);
  octets.set(value ?? [], head.length);
  return octets;
}
