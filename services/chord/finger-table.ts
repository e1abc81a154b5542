import { bits, distance, type Identifier, identifier } from './identifier.ts';
import type { Peer } from './peer.ts';

/** Where finger `at` begins: 2^at past the node. */
export function fingerStart(self: Identifier, at: number): Identifier {
  return identifier(self + (1n << BigInt(at)));
}

/**
 * Finger i is the owner of self + 2^i, as it was when last looked up. Only a help: the ring is right with any fingers, and with none.
 * Those that the head owns are not kept (about 160 − log₂N), it stands in for them.
 */
export class FingerTable {
  readonly #self: Identifier;
  readonly #fingers: (Peer | undefined)[] = new Array(bits);
  #next = 0;

  constructor(self: Identifier) {
    this.#self = self;
  }

  /** The one to look up next, round and round over those past the head. */
  nextToFix(head: Identifier): number {
    const least = firstPast(this.#self, head);
    if (this.#next < least || this.#next >= bits) this.#next = least;
    return Math.min(this.#next, bits - 1);
  }

  /** Sets finger `at` and all whose start lies between its own and the owner: they have the same. */
  set(at: number, owner: Peer): void {
    const end = owner.id === this.#self ? bits : Math.max(at + 1, firstPast(this.#self, owner.id));
    for (let each = at; each < end; each++) this.#fingers[each] = owner.id === this.#self ? undefined : owner;
    this.#next = end;
  }

  /** @returns whether it was a finger */
  remove(id: Identifier): boolean {
    let isOne = false;
    for (let at = 0; at < bits; at++) {
      if (this.#fingers[at]?.id !== id) continue;
      this.#fingers[at] = undefined;
      isOne = true;
    }
    return isOne;
  }

  clear(): void {
    this.#fingers.fill(undefined);
    this.#next = 0;
  }

  /** Different ones, in no order. */
  peers(): Peer[] {
    const found: Peer[] = [];
    let last: Identifier | undefined;
    for (let at = bits - 1; at >= 0; at--) {
      const finger = this.#fingers[at];
      if (finger === undefined || finger.id === last) continue;
      last = finger.id;
      found.push(finger);
    }
    return found;
  }
}

/** The first finger that begins past `id`; 160 when none does. */
function firstPast(self: Identifier, id: Identifier): number {
  const far = distance(self, id);
  return far === 0n ? bits : far.toString(2).length;
}
