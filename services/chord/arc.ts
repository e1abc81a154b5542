import { circle, distance, type Identifier, identifier } from './identifier.ts';

/** A part of the circle, `from` excluded, `to` included; all of it where both are the same. */
export interface Arc {
  readonly from: Identifier;
  readonly to: Identifier;
}

/** Beyond it the ones that were added longest ago go. */
const remembered = 64;

function lengthOf({ from, to }: Arc): bigint {
  return distance(from, to) || circle;
}

/** Parts of the circle; those that touch are one. */
export class ArcSet {
  #arcs: Arc[] = [];

  add(arc: Arc): void {
    let added = arc;
    for (let joined: Arc | undefined = arc; joined; ) {
      joined = undefined;
      for (const other of this.#arcs) {
        joined = union(added, other) ?? union(other, added);
        if (!joined) continue;
        added = joined;
        this.#arcs = this.#arcs.filter(each => each !== other);
        break;
      }
    }
    this.#arcs.push(added);
    if (this.#arcs.length > remembered) this.#arcs.shift();
  }

  /** All of it. */
  covers(arc: Arc): boolean {
    return this.#arcs.some(other => {
      const length = lengthOf(other);
      return length === circle || distance(other.from, arc.from) + lengthOf(arc) <= length;
    });
  }

  clear(): void {
    this.#arcs = [];
  }
}

/** Undefined where the second does not begin in the first, or at its end. */
function union(one: Arc, other: Arc): Arc | undefined {
  const length = lengthOf(one);
  const start = distance(one.from, other.from);
  if (start > length) return undefined;
  const end = start + lengthOf(other);
  const whole = end > length ? end : length;
  return { from: one.from, to: whole >= circle ? one.from : identifier(one.from + whole) };
}
