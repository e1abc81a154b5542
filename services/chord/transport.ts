import type { RingServiceDefinition } from '../../proto/gen/warren/chord/v1/ring.ts';
import type { UnaryClient } from '../lib/rpc/definition.ts';
import type { AddressBook } from './address-book.ts';
import type { Codecs } from './call-codecs.ts';
import type { Peer } from './peer.ts';
import type { RingCall, RingCalls } from './ports.ts';

/** The ring's calls to one member, whatever they go over. */
export type RingClient = UnaryClient<typeof RingServiceDefinition>;

/** A call to another member, by a client that reaches it. */
export async function callBy<K extends RingCall>(
  client: RingClient,
  { self, to, call, request, timeoutMs }: CallOf<K>,
  codecs: Codecs,
  book: AddressBook,
): Promise<RingCalls[K]['reply']> {
  const codec: Codecs[RingCall] = codecs[call];
  const way = { toIndex: to.index, fromIndex: self.index, fromAddresses: book.own() };
  const wired = codec.encodeRequest(request as never, way);
  const reply = await client[call](wired as never, { deadlineMs: timeoutMs });
  return codec.decodeReply(reply as never, addresses => book.heard(to.member, addresses)) as RingCalls[K]['reply'];
}

export interface CallOf<K extends RingCall> {
  readonly self: Peer;
  readonly to: Peer;
  readonly call: K;
  readonly request: RingCalls[K]['request'];
  readonly timeoutMs: number;
}
