import type { Entry } from './message.ts';

/** Entries that came back to their queue in any order: a binary heap, the smallest index on top. */
export class ReturnedHeap {
  readonly #entries: Entry[] = [];

  get size(): number {
    return this.#entries.length;
  }

  get oldest(): Entry | undefined {
    return this.#entries[0];
  }

  add(entry: Entry): void {
    const entries = this.#entries;
    let at = entries.length;
    while (at > 0) {
      const above = (at - 1) >> 1;
      const parent = entries[above] as Entry;
      if (parent.index < entry.index) break;
      entries[at] = parent;
      at = above;
    }
    entries[at] = entry;
  }

  /** Takes the oldest away. */
  take(): void {
    const entries = this.#entries;
    const last = entries.pop();
    if (!last || entries.length === 0) return;
    let at = 0;
    for (;;) {
      let below = 2 * at + 1;
      const right = entries[below + 1];
      if (right && right.index < (entries[below] as Entry).index) below++;
      const child = entries[below];
      if (!child || child.index > last.index) break;
      entries[at] = child;
      at = below;
    }
    entries[at] = last;
  }
}
