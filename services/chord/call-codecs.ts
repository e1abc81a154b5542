import {
  type RingServiceDefinition,
  type StoreResponse,
  StoreStatus,
  type Way,
} from '../../proto/gen/warren/chord/v1/ring.ts';
import type { RequestOf, ResponseOf } from '../lib/rpc/definition.ts';
import type { AddressBook } from './address-book.ts';
import { maxClaimants, maxCloser, maxDigests, maxProviders, maxRetrieved, maxStored, maxSuccessors } from './bounds.ts';
import type { RingCall, RingCalls } from './ports.ts';
import type { StoreReply } from './record.ts';
import {
  decodeAddresses,
  decodeAll,
  decodeDigest,
  decodeIdentifier,
  decodeKind,
  decodePeer,
  decodeRecord,
  decodeSlot,
  encodeDigest,
  encodeIdentifier,
  encodeKind,
  encodePeer,
  encodeRecord,
  encodeSlot,
  misshapen,
} from './wire.ts';

type WireRequest<K extends RingCall> = RequestOf<typeof RingServiceDefinition, K>;
type WireReply<K extends RingCall> = ResponseOf<typeof RingServiceDefinition, K>;

interface Codec<K extends RingCall> {
  encodeRequest(request: RingCalls[K]['request'], way: Way): WireRequest<K>;
  /** @throws CallFailure CHORD_SHAPE */
  decodeRequest(request: WireRequest<K>): RingCalls[K]['request'];
  encodeReply(reply: RingCalls[K]['reply']): WireReply<K>;
  /** @throws CallFailure CHORD_SHAPE */
  decodeReply(reply: WireReply<K>, heard: (addresses: readonly string[]) => void): RingCalls[K]['reply'];
}

export type Codecs = { readonly [K in RingCall]: Codec<K> };

const statuses = {
  stored: StoreStatus.STORE_STATUS_STORED,
  superseded: StoreStatus.STORE_STATUS_SUPERSEDED,
  refused: StoreStatus.STORE_STATUS_REFUSED,
  'not-owner': StoreStatus.STORE_STATUS_NOT_OWNER,
} as const satisfies Record<StoreReply['status'], StoreStatus>;

const maxReason = 200;

/** How each call goes over the wire. @param book says where the nodes that are spoken of can be dialled */
export function createCodecs(book: AddressBook): Codecs {
  const peer = (one: Parameters<typeof encodePeer>[0]) => encodePeer(one, book);
  const nothing = {
    encodeRequest: (_request: object, way: Way) => ({ way }),
    decodeRequest: () => ({}),
    encodeReply: () => ({}),
    decodeReply: () => ({}),
  };
  return {
    notify: nothing,
    nudge: nothing,
    ping: {
      ...nothing,
      encodeReply: () => ({ addresses: book.own() }),
      decodeReply({ addresses }, heard) {
        decodeAddresses(addresses);
        heard(addresses);
        return {};
      },
    },
    neighbours: {
      ...nothing,
      encodeReply: ({ predecessor, successors }) => ({
        predecessor: predecessor && peer(predecessor),
        successors: successors.map(peer),
        addresses: book.own(),
      }),
      decodeReply({ predecessor, successors, addresses }, heard) {
        decodeAddresses(addresses);
        heard(addresses);
        return {
          predecessor: predecessor && decodePeer(predecessor),
          successors: decodeAll(successors, maxSuccessors, decodePeer),
        };
      },
    },
    route: {
      encodeRequest: ({ key }, way) => ({ way, key: encodeIdentifier(key) }),
      decodeRequest: ({ key }) => ({ key: decodeIdentifier(key) }),
      encodeReply: ({ closer, owners, predecessor }) => ({
        ...{ closer: closer.map(peer), owners: owners.map(peer) },
        predecessor: predecessor && peer(predecessor),
      }),
      decodeReply: ({ closer, owners, predecessor }) => ({
        closer: decodeAll(closer, maxCloser, decodePeer),
        owners: decodeAll(owners, maxSuccessors, decodePeer),
        predecessor: predecessor && decodePeer(predecessor),
      }),
    },
    store: {
      encodeRequest: ({ record, asOwner }, way) => ({ way, record: encodeRecord(record), asOwner }),
      decodeRequest({ record, asOwner }) {
        if (record === undefined) throw misshapen('there is no record');
        return { record: decodeRecord(record), asOwner };
      },
      encodeReply: encodeStored,
      decodeReply: decodeStored,
    },
    storeAll: {
      encodeRequest: ({ records, asOwner }, way) => ({ way, records: records.map(encodeRecord), asOwner }),
      decodeRequest: ({ records, asOwner }) => ({ records: decodeAll(records, maxStored, decodeRecord), asOwner }),
      encodeReply: ({ replies }) => ({ replies: replies.map(encodeStored) }),
      decodeReply: ({ replies }) => ({ replies: decodeAll(replies, maxStored, decodeStored) }),
    },
    fetch: {
      encodeRequest: ({ key, kind }, way) => ({ way, key: encodeIdentifier(key), kind: encodeKind(kind) }),
      decodeRequest: ({ key, kind }) => ({ key: decodeIdentifier(key), kind: decodeKind(kind) }),
      encodeReply: ({ records, isSettledOwner }) => ({ records: records.map(encodeRecord), isSettledOwner }),
      decodeReply: ({ records, isSettledOwner }) => ({
        records: decodeAll(records, maxProviders, decodeRecord),
        isSettledOwner,
      }),
    },
    reconcile: {
      encodeRequest: ({ from, to, digests, isOwner, isSettled }, way) => ({
        ...{ way, from: encodeIdentifier(from), to: encodeIdentifier(to) },
        ...{ digests: digests.map(encodeDigest), isOwner, isSettled },
      }),
      decodeRequest: ({ from, to, digests, isOwner, isSettled }) => ({
        ...{ from: decodeIdentifier(from), to: decodeIdentifier(to) },
        ...{ digests: decodeAll(digests, maxDigests, decodeDigest), isOwner, isSettled },
      }),
      encodeReply: ({ wanted, newer, isCut, isFresh, claimants }) => ({
        ...{ wanted: wanted.map(encodeSlot), newer: newer.map(encodeDigest), isCut, isFresh },
        claimants: claimants.map(peer),
      }),
      decodeReply: ({ wanted, newer, isCut, isFresh, claimants }) => ({
        ...{ wanted: decodeAll(wanted, maxDigests, decodeSlot), newer: decodeAll(newer, maxDigests, decodeDigest) },
        isCut,
        isFresh,
        claimants: decodeAll(claimants, maxClaimants, decodePeer),
      }),
    },
    retrieve: {
      encodeRequest: ({ slots }, way) => ({ way, slots: slots.map(encodeSlot) }),
      decodeRequest: ({ slots }) => ({ slots: decodeAll(slots, maxRetrieved, decodeSlot) }),
      encodeReply: ({ records }) => ({ records: records.map(encodeRecord) }),
      decodeReply: ({ records }) => ({ records: decodeAll(records, maxRetrieved, decodeRecord) }),
    },
  };
}

function encodeStored({ status, reason = '' }: StoreReply): StoreResponse {
  return { status: statuses[status], reason };
}

function decodeStored({ status, reason }: StoreResponse): StoreReply {
  for (const [name, number] of Object.entries(statuses))
    if (number === status)
      return { status: name as StoreReply['status'], ...(reason === '' ? {} : { reason: reason.slice(0, maxReason) }) };
  throw misshapen('no such status');
}
