import { maxSuccessors } from './bounds.ts';
import { type Identifier, isBetween } from './identifier.ts';
import type { ChordNode } from './node.ts';
import type { Peer } from './peer.ts';

export interface Circle {
  /** In the order of the circle, from the node on. */
  readonly nodes: readonly Peer[];
  /** It was walked around to the node again. */
  readonly isWhole: boolean;
}

/** All nodes, by going around from successor list to successor list. @param atMost nodes; beyond it the walk ends */
export async function walkAround(node: ChordNode, atMost: number): Promise<Circle> {
  const { self } = node;
  const nodes: Peer[] = [self];
  const silent = new Set<Identifier>();
  let { successors } = node.neighbours;
  let last = self;
  for (;;) {
    let isRound = false;
    for (const peer of successors.slice(0, maxSuccessors)) {
      // Past us, or a list that leads back.
      if (peer.id === self.id || !isBetween(last.id, peer.id, self.id)) {
        isRound = true;
        break;
      }
      if (silent.has(peer.id)) continue;
      nodes.push(peer);
      last = peer;
    }
    if (isRound) return { nodes, isWhole: true };
    if (nodes.length >= atMost) return { nodes: nodes.slice(0, atMost), isWhole: false };
    // The farthest that answers goes on.
    let reply: { successors: readonly Peer[] } | undefined;
    while (last.id !== self.id) {
      reply = await node.ask(last, 'neighbours', {}, 2);
      if (reply) break;
      silent.add(last.id);
      nodes.pop();
      last = nodes.at(-1) ?? self;
    }
    if (reply === undefined) return { nodes, isWhole: false };
    successors = reply.successors.filter(peer => !silent.has(peer.id));
    // It knows nobody who lives.
    if (successors.length === 0) return { nodes, isWhole: false };
  }
}
