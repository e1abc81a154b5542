import { fingerStart } from '../../../services/chord/finger-table.ts';
import { bits, distance, type Identifier, identifier } from '../../../services/chord/identifier.ts';
import { ChordNode } from '../../../services/chord/node.ts';
import type { Peer } from '../../../services/chord/peer.ts';
import type { RingClock, RingTransport } from '../../../services/chord/ports.ts';

/** A ring as it is after all is settled, not grown by the protocol: predecessors, lists and fingers are set to what they must become. */
export interface Converged {
  /** In the order of the circle. */
  readonly nodes: readonly ChordNode[];
  /** Index of the owner of a key. */
  ownerOf(key: Identifier): number;
}

/** Where a node runs. */
export interface Place {
  readonly clock: RingClock;
  transportOf(self: Peer): RingTransport;
}

/** Uniform over the circle. @param random uniform in [0, 1) */
export function randomIdentifier(random: () => number): Identifier {
  let value = 0n;
  for (let at = 0; at < bits; at += 32) value = (value << 32n) | BigInt(Math.floor(random() * 2 ** 32));
  return identifier(value);
}

export function peerAt(id: Identifier): Peer {
  return { id, member: '', index: 0, address: '' };
}

/** The first of ascending ids that is not before the key, around the end. */
export function successorIndex(ids: readonly Identifier[], key: Identifier): number {
  let low = 0;
  let high = ids.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((ids[middle] as Identifier) < key) low = middle + 1;
    else high = middle;
  }
  return low === ids.length ? 0 : low;
}

export function createConverged(
  count: number,
  r: number,
  random: () => number,
  place: Place,
  callTimeoutMs = 500,
): Converged {
  const ids = Array.from({ length: count }, () => randomIdentifier(random)).sort((a, b) => (a < b ? -1 : 1));
  const peers = ids.map(peerAt);
  const peer = (at: number): Peer => peers[(at + count) % count] as Peer;
  const nodes = peers.map((self, at) => {
    const ports = { transport: place.transportOf(self), clock: place.clock, random };
    const node = new ChordNode(ports, self, { r, callTimeoutMs, hopLimit: 100 });
    const fingers = new Map<number, Peer>();
    const head = peer(at + 1);
    for (let finger = bits - 1; finger >= 0 && 1n << BigInt(finger) > distance(self.id, head.id); finger--)
      fingers.set(finger, peer(successorIndex(ids, fingerStart(self.id, finger))));
    const successors = Array.from({ length: r }, (_, i) => peer(at + 1 + i));
    node.enter({ predecessor: peer(at - 1), successors }, fingers);
    return node;
  });
  return { nodes, ownerOf: key => successorIndex(ids, key) };
}

/** Without time: calls are answered at once, those to the dead fail at once. For questions about paths only. */
export function createTimeless(): Place & { readonly living: Map<Identifier, ChordNode> } {
  const living = new Map<Identifier, ChordNode>();
  return {
    living,
    clock: { now: () => 0, after: () => () => {} },
    transportOf: self => ({
      call: async (to, call, request) => {
        const node = living.get(to.id);
        if (!node) throw new Error('dead');
        return node.answer(call as 'route', request as never, self) as never;
      },
    }),
  };
}
