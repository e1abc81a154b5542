import type { Entry } from './message.ts';

/** Room in front that is made when there is none, so that what comes back one by one does not move all the others each time. */
const spare = 1_024;

/** The entries of a queue that wait for a consumer, ascending by index. */
export class ReadyList {
  #entries: (Entry | undefined)[] = [];
  /** Where they begin; what is before is spent. */
  #first = 0;
  #bytes = 0;

  get length(): number {
    return this.#entries.length - this.#first;
  }

  /** Of their bodies. */
  get bytes(): number {
    return this.#bytes;
  }

  get head(): Entry | undefined {
    return this.#entries[this.#first];
  }

  /** One that is younger than all. */
  push(entry: Entry): void {
    this.#entries.push(entry);
    this.#bytes += entry.message.body.length;
  }

  shift(): Entry | undefined {
    const entry = this.#entries[this.#first];
    if (!entry) return undefined;
    this.#entries[this.#first++] = undefined;
    this.#bytes -= entry.message.body.length;
    if (this.#first === this.#entries.length) {
      this.#entries = [];
      this.#first = 0;
    } else if (this.#first > 2 * spare && this.#first * 2 > this.#entries.length) {
      this.#entries = this.#entries.slice(this.#first);
      this.#first = 0;
    }
    return entry;
  }

  /** Back to where they were. @param entries ascending by index */
  giveBack(entries: readonly Entry[]): void {
    const last = entries.at(-1);
    if (!last) return;
    for (const { message } of entries) this.#bytes += message.body.length;
    const { head } = this;
    if (!head || last.index < head.index) {
      this.#makeRoom(entries.length);
      for (let at = entries.length - 1; at >= 0; at--) this.#entries[--this.#first] = entries[at];
      return;
    }
    const both = [...(this.#entries.slice(this.#first) as Entry[]), ...entries];
    this.#entries = both.sort((a, b) => a.index - b.index);
    this.#first = 0;
  }

  #makeRoom(count: number): void {
    if (this.#first >= count) return;
    const room = new Array<Entry | undefined>(count + spare).fill(undefined);
    this.#entries = room.concat(this.#entries.slice(this.#first));
    this.#first = count + spare;
  }
}
