import { formatIdentifier, type Identifier, isBetween } from '../../../services/chord/identifier.ts';
import type { Peer } from '../../../services/chord/peer.ts';
import type { Neighbours } from '../../../services/chord/ports.ts';

/** A member as the simulator sees it. */
export interface Member {
  readonly self: Peer;
  readonly neighbours: Neighbours;
}

/** Short enough for a transcript, long enough to tell nodes apart. */
export function short(id: Identifier): string {
  return formatIdentifier(id)
    .replace(/^0+(?=.{4})/, '')
    .slice(0, 8);
}

/**
 * The members that no adjacent pair of any extended list (a node and its list) skips.
 * @param ids of all members, ascending
 */
export function principals(ids: readonly Identifier[], extendedLists: Iterable<readonly Identifier[]>): Identifier[] {
  const count = ids.length;
  /** As differences: sums from the left tell how many pairs skip each. */
  const skips = new Int32Array(count + 1);
  /** How many ids are smaller than (or, with `orSame`, not larger than) `id`. */
  const rank = (id: Identifier, orSame: boolean): number => {
    let low = 0;
    let high = count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const other = ids[middle] as Identifier;
      if (other < id || (orSame && other === id)) low = middle + 1;
      else high = middle;
    }
    return low;
  };
  const skip = (from: number, to: number): void => {
    if (from >= to) return;
    skips[from] = (skips[from] ?? 0) + 1;
    skips[to] = (skips[to] ?? 0) - 1;
  };
  for (const list of extendedLists) {
    for (let at = 1; at < list.length; at++) {
      const [low, high] = [list[at - 1] as Identifier, list[at] as Identifier];
      const [from, to] = [rank(low, true), rank(high, false)];
      if (low < high) skip(from, to);
      else {
        skip(from, count);
        skip(0, to);
      }
    }
  }
  const found: Identifier[] = [];
  let sum = 0;
  for (const [at, id] of ids.entries()) {
    sum += skips[at] ?? 0;
    if (sum === 0) found.push(id);
  }
  return found;
}

export function extended({ self, neighbours }: Member): Identifier[] {
  return [self.id, ...neighbours.successors.map(({ id }) => id)];
}

/** Zave's invariant. @returns what is wrong, undefined when it holds */
export function violation(members: readonly Member[], r: number): string | undefined {
  const ids = members.map(({ self }) => self.id).sort(ascending);
  const live = new Set(ids);
  for (const { self, neighbours } of members) {
    if (!neighbours.successors.some(({ id }) => id !== self.id && live.has(id)))
      return `${short(self.id)} has no living node in its list [${neighbours.successors.map(({ id }) => short(id))}]`;
  }
  const found = principals(ids, members.map(extended));
  return found.length > r ? undefined : `only ${found.length} principals for r = ${r}: [${found.map(short)}]`;
}

/** What is not as in the ideal ring: each member's list is the next r members, its predecessor the one before. */
export function unideal(members: readonly Member[], r: number): string | undefined {
  const sorted = [...members].sort((one, other) => ascending(one.self.id, other.self.id));
  const at = (index: number): Identifier => (sorted[index % sorted.length] as Member).self.id;
  for (const [index, { self, neighbours }] of sorted.entries()) {
    const list = neighbours.successors.map(({ id }) => id);
    const right = Array.from({ length: r }, (_, i) => at(index + 1 + i));
    if (right.length !== list.length || right.some((id, i) => id !== list[i]))
      return `${short(self.id)} has the list [${list.map(short)}], not [${right.map(short)}]`;
    const before = at(index + sorted.length - 1);
    if (neighbours.predecessor?.id !== before && sorted.length > 1)
      return `${short(self.id)} has predecessor ${neighbours.predecessor ? short(neighbours.predecessor.id) : 'none'}, not ${short(before)}`;
  }
  return undefined;
}

export function ascending(one: Identifier, other: Identifier): number {
  if (one === other) return 0;
  return one < other ? -1 : 1;
}

/** Whether a list that is on its way from `from` will be the asker's own as it is: it joins between that node and its head. */
export function isForJoining(asker: Identifier, from: Identifier, head: Identifier): boolean {
  return isBetween(from, asker, head);
}
