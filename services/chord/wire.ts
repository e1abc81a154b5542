import { createHash } from 'node:crypto';
import {
  RecordKind,
  type Digest as WireDigest,
  type Peer as WirePeer,
  type Record as WireRecord,
  type Slot as WireSlot,
} from '../../proto/gen/warren/chord/v1/ring.ts';
import { CallFailure } from '../lib/rpc/call-failure.ts';
import { type AddressBook, formatAddresses, isAddress, maxAddresses } from './address-book.ts';
import { maxIndex, maxSignature, maxValue } from './bounds.ts';
import { bits, formatIdentifier, type Identifier, identifierOfHash, identifierOfMember } from './identifier.ts';
import type { Peer } from './peer.ts';
import { type Digest, type RingRecord, type Slot, slotOf } from './record.ts';

/**
 * Between what the core speaks of and what goes over gRPC and the bus. Decoding takes nothing that is not of the right shape and size:
 * @throws CallFailure CHORD_SHAPE
 */

const placeOctets = bits / 8;
const memberOctets = 32;

export function misshapen(what: string): CallFailure {
  return new CallFailure('INVALID_ARGUMENT', 'CHORD_SHAPE', what);
}

export function encodeIdentifier(id: Identifier): Buffer {
  return Buffer.from(formatIdentifier(id), 'hex');
}

export function decodeIdentifier(octets: Uint8Array): Identifier {
  if (octets.length !== placeOctets) throw misshapen(`an identifier has ${placeOctets} bytes`);
  return identifierOfHash(octets);
}

export function decodeMember(octets: Buffer): string {
  if (octets.length !== memberOctets) throw misshapen(`a member id has ${memberOctets} bytes`);
  return octets.toString('hex');
}

export function decodeAddresses(addresses: readonly string[]): string {
  if (addresses.length > maxAddresses || !addresses.every(isAddress))
    throw misshapen(`a node has ${maxAddresses} addresses host:port at most`);
  return formatAddresses(addresses);
}

/** The place follows from member and index, whoever says so. */
export function peerOf(member: string, index: number, address: string): Peer {
  if (index > maxIndex) throw misshapen(`a virtual node has an index of ${maxIndex} at most`);
  return { id: identifierOfMember(member, index, sha256), member, index, address };
}

export function sha256(octets: Uint8Array): Uint8Array {
  return createHash('sha256').update(octets).digest();
}

export function encodePeer(peer: Peer, book: AddressBook): WirePeer {
  return { member: Buffer.from(peer.member, 'hex'), index: peer.index, addresses: book.of(peer) };
}

export function decodePeer({ member, index, addresses }: WirePeer): Peer {
  return peerOf(decodeMember(member), index, decodeAddresses(addresses));
}

export function encodeKind(kind: RingRecord['kind']): RecordKind {
  return kind === 'value' ? RecordKind.RECORD_KIND_VALUE : RecordKind.RECORD_KIND_PROVIDER;
}

export function decodeKind(kind: RecordKind): RingRecord['kind'] {
  if (kind === RecordKind.RECORD_KIND_VALUE) return 'value';
  if (kind === RecordKind.RECORD_KIND_PROVIDER) return 'provider';
  throw misshapen('a record is a value, or of a provider');
}

export function encodeRecord(record: RingRecord): WireRecord {
  const { key, kind, writer, counter, value, lifeMs, leftMs, publicKey, signature } = record;
  return {
    ...{ key: encodeIdentifier(key), kind: encodeKind(kind), writer: Buffer.from(writer, 'hex'), counter },
    value: value && Buffer.from(value.buffer, value.byteOffset, value.byteLength),
    // A life of which less than a millisecond is left is still one.
    ...{ lifeMs, leftMs: Math.max(1, Math.round(leftMs)) },
    ...{ publicKey: Buffer.from(publicKey), signature: Buffer.from(signature) },
  };
}

/** Whether it is one that may be kept, the core looks (`problemOfRecord`). */
export function decodeRecord(record: WireRecord): RingRecord {
  const { key, kind, writer, counter, value, lifeMs, leftMs, publicKey, signature } = record;
  if (value !== undefined && value.length > maxValue) throw misshapen(`a value has ${maxValue} bytes at most`);
  if (publicKey.length > maxSignature || signature.length > maxSignature)
    throw misshapen(`a key or a signature has ${maxSignature} bytes at most`);
  return {
    ...{ key: decodeIdentifier(key), kind: decodeKind(kind), writer: decodeMember(writer), counter, value },
    ...{ lifeMs, leftMs, publicKey, signature },
  };
}

/** @param slot one that `slotOf` made */
export function encodeSlot(slot: Slot): WireSlot {
  const [kind, key = '', writer = ''] = slot.split(':');
  return {
    kind: encodeKind(kind === 'v' ? 'value' : 'provider'),
    key: Buffer.from(key, 'hex'),
    writer: Buffer.from(writer, 'hex'),
  };
}

export function decodeSlot({ kind, key, writer }: WireSlot): Slot {
  const of = decodeKind(kind);
  if (of === 'value' && writer.length > 0) throw misshapen('the slot of a value has no writer');
  return slotOf({ kind: of, key: decodeIdentifier(key), writer: of === 'value' ? '' : decodeMember(writer) });
}

export function encodeDigest({ slot, counter, writer }: Digest): WireDigest {
  return { slot: encodeSlot(slot), counter, writer: Buffer.from(writer, 'hex') };
}

export function decodeDigest({ slot, counter, writer }: WireDigest): Digest {
  if (slot === undefined) throw misshapen('a digest has a slot');
  return { slot: decodeSlot(slot), counter, writer: decodeMember(writer) };
}

/** No more than so many, each decoded. */
export function decodeAll<W, T>(list: readonly W[], atMost: number, decode: (item: W) => T): T[] {
  if (list.length > atMost) throw misshapen(`${list.length} entries, where ${atMost} may be`);
  return list.map(decode);
}
