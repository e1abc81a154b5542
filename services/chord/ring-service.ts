import { RingServiceDefinition, type Way } from '../../proto/gen/warren/chord/v1/ring.ts';
import { Failure } from '../lib/failure.ts';
import { CallFailure } from '../lib/rpc/call-failure.ts';
import { type Caller, type Served, served } from '../lib/rpc/definition.ts';
import type { AddressBook } from './address-book.ts';
import { maxIndex } from './bounds.ts';
import type { Codecs } from './call-codecs.ts';
import type { Peer } from './peer.ts';
import type { RingCall, RingCalls } from './ports.ts';
import { decodeAddresses, misshapen, peerOf } from './wire.ts';

/** Serves a call to one of this member's virtual nodes. @throws Failure `OUTSIDE`, RangeError (not here) */
export type Answer = <K extends RingCall>(
  toIndex: number,
  call: K,
  request: RingCalls[K]['request'],
  from: Peer,
) => RingCalls[K]['reply'] | Promise<RingCalls[K]['reply']>;

/** The ring's calls, as other members make them: over gRPC and over the bus alike. */
export function serveRing(answer: Answer, codecs: Codecs, book: AddressBook): Served {
  const handlerOf =
    <K extends RingCall>(call: K) =>
    async (wired: Parameters<Codecs[K]['decodeRequest']>[0], caller: Caller) => {
      const codec: Codecs[RingCall] = codecs[call];
      const { toIndex, from } = wayOf(wired.way, caller, book);
      const request = codec.decodeRequest(wired as never);
      try {
        return codec.encodeReply((await answer(toIndex, call, request as RingCalls[K]['request'], from)) as never);
      } catch (error) {
        throw refusalOf(error);
      }
    };
  return served(RingServiceDefinition, {
    ping: handlerOf('ping'),
    neighbours: handlerOf('neighbours'),
    route: handlerOf('route'),
    notify: handlerOf('notify'),
    nudge: handlerOf('nudge'),
    store: handlerOf('store'),
    storeAll: handlerOf('storeAll'),
    fetch: handlerOf('fetch'),
    reconcile: handlerOf('reconcile'),
    retrieve: handlerOf('retrieve'),
  } as never);
}

/** Who calls is the member that TLS or the broker names, whatever it says. */
function wayOf(way: Way | undefined, { memberId }: Caller, book: AddressBook): { toIndex: number; from: Peer } {
  if (memberId === undefined)
    throw new CallFailure('PERMISSION_DENIED', 'CHORD_STRANGER', 'only members of the network are in the ring');
  if (way === undefined) throw misshapen('the call does not say which node is meant');
  const { toIndex, fromIndex, fromAddresses } = way;
  if (toIndex > maxIndex) throw misshapen(`a virtual node has an index of ${maxIndex} at most`);
  const from = peerOf(memberId, fromIndex, decodeAddresses(fromAddresses));
  book.heard(memberId, fromAddresses);
  return { toIndex, from };
}

function refusalOf(error: unknown): unknown {
  if (error instanceof Failure && error.code === 'OUTSIDE')
    return new CallFailure('FAILED_PRECONDITION', 'OUTSIDE', 'this node is in no ring');
  if (error instanceof RangeError)
    return new CallFailure('NOT_FOUND', 'CHORD_NO_NODE', 'there is no such virtual node here');
  return error;
}
