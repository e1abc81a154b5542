import type { Identifier } from './identifier.ts';

/**
 * A node as others know it. Transports make it from what is certified (member and index, see `identifierOfMember`), and take `id` from nobody.
 */
export interface Peer {
  readonly id: Identifier;
  /** 64 lower-case hex digits. */
  readonly member: string;
  /** Which of its member's virtual nodes, from 0. */
  readonly index: number;
  /** Where to dial it, `host:port`; empty for one that is reached over the bus alone. */
  readonly address: string;
}

export function isSamePeer(one: Peer | undefined, other: Peer | undefined): boolean {
  return one?.id === other?.id;
}

/** The same nodes in the same order. */
export function areSamePeers(some: readonly Peer[], others: readonly Peer[]): boolean {
  return some.length === others.length && some.every((peer, at) => peer.id === others[at]?.id);
}
