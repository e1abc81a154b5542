import type { Entry } from './message.ts';
import { ReturnedHeap } from './returned-heap.ts';

/** So much that is spent is not worth a copy of the rest. */
const spentBelow = 2_048;

/**
 * The entries of a queue that wait for a consumer, ascending by index. New ones stand in a row; those that came back stand apart, since
 * each may belong anywhere, and to put it there would move all the others: a consumer may give back a hundred thousand, one by one.
 */
export class ReadyList {
  #entries: (Entry | undefined)[] = [];
  /** Where they begin; what is before is spent. */
  #first = 0;
  readonly #returned = new ReturnedHeap();
  #bytes = 0;

  get length(): number {
    return this.#entries.length - this.#first + this.#returned.size;
  }

  /** Of their bodies. */
  get bytes(): number {
    return this.#bytes;
  }

  get head(): Entry | undefined {
    const fresh = this.#entries[this.#first];
    const returned = this.#returned.oldest;
    if (returned === undefined) return fresh;
    return fresh === undefined || returned.index < fresh.index ? returned : fresh;
  }

  /** One that is younger than all. */
  push(entry: Entry): void {
    this.#entries.push(entry);
    this.#bytes += entry.message.body.length;
  }

  shift(): Entry | undefined {
    const { head } = this;
    if (!head) return undefined;
    this.#bytes -= head.message.body.length;
    if (head === this.#returned.oldest) this.#returned.take();
    else this.#step();
    return head;
  }

  #step(): void {
    this.#entries[this.#first++] = undefined;
    if (this.#first === this.#entries.length) {
      this.#entries = [];
      this.#first = 0;
    } else if (this.#first > spentBelow && this.#first * 2 > this.#entries.length) {
      this.#entries = this.#entries.slice(this.#first);
      this.#first = 0;
    }
  }

  /** Back to where it was. */
  giveBack(entry: Entry): void {
    this.#returned.add(entry);
    this.#bytes += entry.message.body.length;
  }
}
