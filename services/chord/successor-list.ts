import type { Identifier } from './identifier.ts';
import type { Peer } from './peer.ts';

/**
 * The rules for successor lists, after Zave ("How to make Chord correct"). A list of a ring with at least r + 1 members holds r different
 * nodes; that of a smaller ring wraps around, over the node itself (a node alone has r times itself). After its head died it is shorter
 * until the new head's list refills it: Zave pads it with an identifier behind the last, which stands for a dead node in every rule; here
 * it is left out, so that nobody calls it.
 */

/** A node's list once `head` has answered with its own. */
export function behind(head: Peer, itsList: readonly Peer[], r: number): readonly Peer[] {
  return [head, ...itsList.slice(0, r - 1)];
}

/** Without its dead head. Never empty: who knows nobody else is its own successor. */
export function withoutHead(list: readonly Peer[], self: Peer, r: number): readonly Peer[] {
  return list.length > 1 ? list.slice(1) : alone(self, r);
}

export function alone(self: Peer, r: number): readonly Peer[] {
  return Array.from({ length: r }, () => self);
}

/** Up to where the list comes round to the node itself. */
export function untilSelf(list: readonly Peer[], self: Identifier): readonly Peer[] {
  const at = list.findIndex(({ id }) => id === self);
  return at === -1 ? list : list.slice(0, at);
}
