import { Failure } from '../lib/failure.ts';
import type { Ask } from './ask.ts';
import { maxCloser, maxSuccessors } from './bounds.ts';
import { distance, type Identifier } from './identifier.ts';
import type { Peer } from './peer.ts';
import type { Neighbours, RingCalls, Route } from './ports.ts';

/** One node that was contacted on the way. */
export interface Hop {
  readonly peer: Peer;
  /** From the call to its answer, or until it counted as silent. */
  readonly ms: number;
  readonly isSilent: boolean;
}

export interface Lookup {
  readonly owner: Peer;
  /** Who holds copies next, as the owner said (or, unconfirmed, the node before it); may come round to the owner. */
  readonly successors: readonly Peer[];
  /** The node before the owner, as far as known. */
  readonly predecessor: Peer | undefined;
  /** The path: those that answered are hops, the owner is the last one; the silent ones are timeouts. */
  readonly path: readonly Hop[];
}

export interface LookupContext {
  readonly self: Peer;
  readonly ask: Ask;
  readonly now: () => number;
  readonly hopLimit: number;
  readonly onSilent?: (peer: Peer) => void;
}

export interface LookupStart {
  /** What the asker knows itself. */
  readonly route?: Route;
  /** Nodes to begin with, when it is not in the ring. */
  readonly peers?: readonly Peer[];
  /** Do not contact the owner: take the word of the node before it. */
  readonly isUnconfirmed?: boolean;
}

/**
 * Finds the owner of a key, iteratively: the asker contacts one node after the other, always the nearest before the key that it has heard of
 * and that was not silent, until one knows the owner. The owner is contacted too, which proves that it lives and lets it say that a newer node has
 * come before it.
 * @throws Failure `HOP_LIMIT`, or `NO_WAY` when nobody is left to ask
 */
export async function lookup(context: LookupContext, key: Identifier, start: LookupStart): Promise<Lookup> {
  const { self, ask, now, hopLimit } = context;
  const path: Hop[] = [];
  const contacted = new Set<Identifier>([self.id]);
  const silent = new Set<Identifier>();
  /** Heard of and not contacted, in no order. */
  const pool = new Map<Identifier, Peer>();

  async function contact<K extends 'route' | 'neighbours'>(
    peer: Peer,
    call: K,
    request: RingCalls[K]['request'],
  ): Promise<RingCalls[K]['reply'] | undefined> {
    if (path.length >= hopLimit) throw new Failure('HOP_LIMIT', `the key was not found within ${hopLimit} contacts`);
    const askedAt = now();
    // Whoever takes the owner for dead finds another one, so it is asked twice.
    const reply = await ask(peer, call, request, call === 'neighbours' ? 2 : 1);
    path.push({ peer, ms: now() - askedAt, isSilent: reply === undefined });
    if (reply === undefined) {
      silent.add(peer.id);
      context.onSilent?.(peer);
    }
    return reply;
  }

  /** The first of them that lives, or whoever it says has come before it. */
  async function confirm(owners: readonly Peer[], before: Peer | undefined): Promise<Lookup | undefined> {
    let found: Lookup | undefined;
    for (const [at, owner] of owners.entries()) {
      if (silent.has(owner.id)) continue;
      const predecessor = at === 0 ? before : owners[at - 1];
      if (start.isUnconfirmed || owner.id === self.id)
        return { owner, successors: owners.slice(at + 1), predecessor, path };
      let candidate: Peer | undefined = owner;
      while (candidate) {
        const reply: Neighbours | undefined = await contact(candidate, 'neighbours', {});
        if (!reply) break;
        found = { owner: candidate, successors: reply.successors, predecessor: reply.predecessor ?? predecessor, path };
        const nearer: Peer | undefined = reply.predecessor;
        const isNearer: boolean =
          nearer !== undefined &&
          !silent.has(nearer.id) &&
          distance(key, nearer.id) < distance(key, candidate.id) &&
          nearer.id !== self.id;
        candidate = isNearer ? nearer : undefined;
      }
      if (found) return found;
    }
    return undefined;
  }

  async function follow(route: Route): Promise<Lookup | undefined> {
    for (const peer of route.closer.slice(0, maxCloser)) if (!contacted.has(peer.id)) pool.set(peer.id, peer);
    const owners = route.owners.slice(0, maxSuccessors);
    return owners.length > 0 ? await confirm(owners, route.predecessor) : undefined;
  }

  if (start.route) {
    const found = await follow(start.route);
    if (found) return found;
  }
  for (const peer of start.peers ?? []) if (!contacted.has(peer.id)) pool.set(peer.id, peer);
  while (pool.size > 0) {
    let next: Peer | undefined;
    let far = 0n;
    for (const peer of pool.values()) {
      // A node at the key itself is no way to it, but all the way around.
      const itsFar = distance(peer.id, key);
      if (next === undefined || (itsFar < far && itsFar > 0n) || far === 0n) [next, far] = [peer, itsFar];
    }
    if (!next) break;
    pool.delete(next.id);
    contacted.add(next.id);
    const route = await contact(next, 'route', { key });
    const found = route && (await follow(route));
    if (found) return found;
  }
  throw new Failure('NO_WAY', 'no node that answers knows a way to the key');
}

/** Nodes that answered on the way, the owner included. */
export function hopsOf({ path }: Pick<Lookup, 'path'>): number {
  return path.reduce((count, { isSilent }) => count + (isSilent ? 0 : 1), 0);
}

export function timeoutsOf({ path }: Pick<Lookup, 'path'>): number {
  return path.length - hopsOf({ path });
}

/** The node that named the owner, or another one that answered on the way last; none where the asker knew it by itself. */
export function lastBefore({ owner, path }: Pick<Lookup, 'owner' | 'path'>): Peer[] {
  const last = path.findLast(({ peer, isSilent }) => !isSilent && peer.id !== owner.id);
  return last ? [last.peer] : [];
}
