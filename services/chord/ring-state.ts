import { maxCloser } from './bounds.ts';
import { FingerTable } from './finger-table.ts';
import { circle, distance, type Identifier, isUpTo } from './identifier.ts';
import { areSamePeers, isSamePeer, type Peer } from './peer.ts';
import type { Neighbours, Route } from './ports.ts';
import { alone, untilSelf } from './successor-list.ts';

interface Known {
  readonly peer: Peer;
  /** From the node. */
  readonly far: bigint;
}

/**
 * What one node believes. Modes: *outside* (before `enter`, and after `forget`: it answers nobody), *member*. Each entry begins a new
 * era, in which nothing is left of the one before: rejoining starts from nothing, and an answer that was asked for in another era is dropped.
 */
export class RingState {
  readonly self: Peer;
  readonly r: number;
  readonly fingers: FingerTable;
  #isMember = false;
  #era = 0;
  #predecessor: Peer | undefined;
  #successors: readonly Peer[];
  #known: readonly Known[] | undefined;
  readonly #onChange: () => void;

  /** @param onChange the predecessor or the successor list is not what it was */
  constructor(self: Peer, r: number, onChange: () => void = () => {}) {
    this.self = self;
    this.r = r;
    this.fingers = new FingerTable(self.id);
    this.#successors = alone(self, r);
    this.#onChange = onChange;
  }

  get isMember(): boolean {
    return this.#isMember;
  }

  get era(): number {
    return this.#era;
  }

  get predecessor(): Peer | undefined {
    return this.#predecessor;
  }

  set predecessor(peer: Peer | undefined) {
    if (isSamePeer(this.#predecessor, peer) || !this.#isMember) return;
    this.#predecessor = peer;
    this.#onChange();
  }

  get successors(): readonly Peer[] {
    return this.#successors;
  }

  /** Replaced as a whole: whoever compares the array with one from before knows whether it changed. */
  set successors(list: readonly Peer[]) {
    if (areSamePeers(this.#successors, list) || !this.#isMember) return;
    this.#successors = list;
    this.#known = undefined;
    this.#onChange();
  }

  get head(): Peer {
    return this.#successors[0] ?? this.self;
  }

  /** Different other nodes of the list, the nearest first. */
  get others(): readonly Peer[] {
    return untilSelf(this.#successors, this.self.id);
  }

  /** r others are known, so that the ring has r + 1 members; with fewer it works, but failures may break it. */
  get isSafe(): boolean {
    return this.#isMember && this.others.length >= this.r;
  }

  get neighbours(): Neighbours {
    return { predecessor: this.#predecessor, successors: this.#successors };
  }

  enter(predecessor: Peer | undefined, successors: readonly Peer[]): void {
    this.#era++;
    this.#isMember = true;
    this.#predecessor = predecessor;
    this.#successors = successors;
    this.#known = undefined;
    this.fingers.clear();
    this.#onChange();
  }

  forget(): void {
    this.#era++;
    this.#isMember = false;
    this.#predecessor = undefined;
    this.#successors = alone(this.self, this.r);
    this.#known = undefined;
    this.fingers.clear();
  }

  setFinger(at: number, owner: Peer): void {
    this.fingers.set(at, owner);
    this.#known = undefined;
  }

  removeFinger(id: Identifier): void {
    if (this.fingers.remove(id)) this.#known = undefined;
  }

  /** As far as it can tell: without a predecessor a node cannot, unless it is alone. */
  owns(key: Identifier): boolean {
    if (this.#predecessor) return isUpTo(this.#predecessor.id, key, this.self.id);
    return this.head.id === this.self.id || key === this.self.id;
  }

  route(key: Identifier): Route {
    const self = this.self.id;
    const farOf = (id: Identifier): bigint => distance(self, id) || circle;
    const far = farOf(key);
    const known = this.#sorted();
    let end = known.length;
    for (let low = 0; low < end; ) {
      const middle = (low + end) >>> 1;
      if ((known[middle] as Known).far < far) low = middle + 1;
      else end = middle;
    }
    const closer: Peer[] = [];
    for (let at = end - 1; at >= 0 && closer.length < maxCloser; at--) closer.push((known[at] as Known).peer);
    const others = this.others;
    const list = others.length < this.#successors.length ? [...others, this.self] : others;
    const first = list.findIndex(({ id }) => farOf(id) >= far);
    if (first === -1) return { closer, owners: [], predecessor: undefined };
    return { closer, owners: list.slice(first), predecessor: first === 0 ? this.self : list[first - 1] };
  }

  /** Everybody it knows ahead, by distance. */
  #sorted(): readonly Known[] {
    if (this.#known) return this.#known;
    const byId = new Map<Identifier, Peer>();
    for (const peer of [...this.others, ...this.fingers.peers()]) byId.set(peer.id, peer);
    byId.delete(this.self.id);
    this.#known = [...byId.values()]
      .map(peer => ({ peer, far: distance(this.self.id, peer.id) }))
      .sort((one, other) => (one.far < other.far ? -1 : 1));
    return this.#known;
  }
}
