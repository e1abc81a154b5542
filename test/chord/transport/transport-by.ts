import type { AddressBook } from '../../../services/chord/address-book.ts';
import type { Codecs } from '../../../services/chord/call-codecs.ts';
import type { Peer } from '../../../services/chord/peer.ts';
import type { RingTransport } from '../../../services/chord/ports.ts';
import { callBy, type RingClient } from '../../../services/chord/transport.ts';

/** A transport that has one way to each member. */
export function transportBy(
  clientOf: (to: Peer) => RingClient | Promise<RingClient>,
  self: Peer,
  codecs: Codecs,
  book: AddressBook,
): RingTransport {
  return {
    call: async (to, call, request, timeoutMs) =>
      callBy(await clientOf(to), { self, to, call, request, timeoutMs }, codecs, book),
  };
}
