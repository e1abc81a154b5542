import type { Identifier } from '../../../services/chord/identifier.ts';
import { hopsOf, type Lookup, lookup, timeoutsOf } from '../../../services/chord/lookup.ts';
import type { ChordNode } from '../../../services/chord/node.ts';
import { seededRandom } from '../../../test/support/seeded.ts';
import { createConverged, createTimeless, randomIdentifier } from './converged.ts';

export interface Paths {
  /** How many lookups took so many hops, the owner's included. */
  readonly hops: readonly number[];
  readonly mean: number;
  readonly p1: number;
  readonly p99: number;
  readonly timeouts: number;
  /** Lookups that did not find the owner, of all. */
  readonly failed: number;
  readonly count: number;
}

/** As `ChordNode.lookup`, but what it finds silent changes nothing: no repair. */
async function look(node: ChordNode, key: Identifier): Promise<Lookup> {
  if (node.owns(key)) return { owner: node.self, successors: [], predecessor: undefined, path: [] };
  const context = { self: node.self, ask: node.ask, now: () => 0, hopLimit: 1_000 };
  return lookup(context, key, { route: node.answer('route', { key }, node.self) });
}

/**
 * Lookups of random keys from random living nodes of a converged ring, of which a share has just died.
 * @param rings how many such rings, each with its own identifiers
 */
export async function measurePaths(
  seed: number,
  {
    nodes: count,
    r,
    dead = 0,
    lookups,
    rings = 1,
  }: { nodes: number; r: number; dead?: number; lookups: number; rings?: number },
): Promise<Paths> {
  const random = seededRandom(seed);
  const hops: number[] = [];
  let timeouts = 0;
  let failed = 0;
  for (let ring = 0; ring < rings; ring++) {
    const place = createTimeless();
    const { nodes, ownerOf } = createConverged(count, r, random, place);
    const shuffled = [...nodes.keys()];
    for (let at = shuffled.length - 1; at > 0; at--) {
      const other = Math.floor(random() * (at + 1));
      [shuffled[at], shuffled[other]] = [shuffled[other] as number, shuffled[at] as number];
    }
    const alive = shuffled.slice(Math.round(count * dead));
    for (const at of alive) place.living.set((nodes[at] as ChordNode).self.id, nodes[at] as ChordNode);
    for (let left = Math.ceil(lookups / rings); left > 0; left--) {
      const key = randomIdentifier(random);
      const node = nodes[alive[Math.floor(random() * alive.length)] as number] as ChordNode;
      let owner = ownerOf(key);
      while (!place.living.has((nodes[owner] as ChordNode).self.id)) owner = (owner + 1) % count;
      const found = await look(node, key).catch(() => undefined);
      if (found?.owner.id !== (nodes[owner] as ChordNode).self.id) failed++;
      if (!found) continue;
      const taken = hopsOf(found);
      hops[taken] = (hops[taken] ?? 0) + 1;
      timeouts += timeoutsOf(found);
    }
  }
  const dense = Array.from(hops, each => each ?? 0);
  const total = dense.reduce((sum, each) => sum + each, 0);
  const mean = dense.reduce((sum, each, at) => sum + each * at, 0) / total;
  const percentile = (share: number): number => {
    let sum = 0;
    for (const [at, each] of dense.entries()) {
      sum += each;
      if (sum >= total * share) return at;
    }
    return dense.length - 1;
  };
  return {
    hops: dense,
    mean,
    p1: percentile(0.01),
    p99: percentile(0.99),
    timeouts: timeouts / total,
    failed,
    count: total,
  };
}
