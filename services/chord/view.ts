import type { RingNode, RingView } from '../../proto/gen/warren/chord/v1/chord.ts';
import type { AddressBook } from './address-book.ts';
import type { RingHost } from './host.ts';
import { formatIdentifier } from './identifier.ts';
import type { Peer } from './peer.ts';
import { untilSelf } from './successor-list.ts';

export function shownNode(peer: Peer, book: AddressBook): RingNode {
  const { id, member, index } = peer;
  return { place: formatIdentifier(id), memberId: member, index, addresses: book.of(peer) };
}

/** How this member's first node stands, for people. */
export function viewOf({ first: { node }, places }: RingHost, book: AddressBook, r: number): RingView {
  const { predecessor, successors } = node.neighbours;
  const others = untilSelf(successors, node.self.id);
  const shown = (peer: Peer): RingNode => shownNode(peer, book);
  const stores = places.map(place => place.storage.store);
  return {
    self: shown(node.self),
    isMember: node.isMember,
    isSafe: node.isSafe,
    predecessor: predecessor && shown(predecessor),
    successors: others.map(shown),
    fingers: node.fingers.map(shown),
    records: stores.reduce((sum, { size }) => sum + size, 0),
    octets: stores.reduce((sum, { octets }) => sum + octets, 0),
    known: node.isMember ? others.length + 1 : 0,
    safeAt: r + 1,
  };
}
