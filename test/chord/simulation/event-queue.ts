import type { RingClock } from '../../../services/chord/ports.ts';

interface Event {
  readonly at: number;
  readonly order: number;
  /** `false`: nobody waits for a promise of this. */
  act: (() => unknown) | undefined;
}

/**
 * Virtual time for asynchronous code: events in order of their time, first in first out at the same time, and between two of them every promise
 * runs as far as it goes. A heap, for a thousand nodes have many timers; one that is taken back stays in it, empty. Milliseconds.
 */
export class EventQueue implements RingClock {
  readonly #heap: Event[] = [];
  #now = 0;
  #count = 0;

  readonly now = (): number => this.#now;

  readonly after = (ms: number, act: () => unknown): (() => void) => {
    const event: Event = { at: this.#now + ms, order: this.#count++, act };
    const heap = this.#heap;
    let at = heap.length;
    heap.push(event);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const above = heap[parent] as Event;
      if (!isBefore(event, above)) break;
      heap[at] = above;
      at = parent;
    }
    heap[at] = event;
    return () => {
      event.act = undefined;
    };
  };

  /** @param afterEach once all that an event set off has run; `true` ends the run there */
  async runUntil(end: number, afterEach: () => boolean | undefined = () => undefined): Promise<void> {
    for (;;) {
      const next = this.#heap[0];
      if (next === undefined || next.at > end) break;
      this.#pop();
      const { act } = next;
      if (!act) continue;
      this.#now = next.at;
      if (act() !== false) await turn();
      if (afterEach()) return;
    }
    this.#now = Math.max(this.#now, end);
  }

  /** Until `isDone`, or nothing happens any more. */
  async runWhile(isGoingOn: () => boolean): Promise<void> {
    await turn();
    if (isGoingOn()) await this.runUntil(Number.POSITIVE_INFINITY, () => !isGoingOn());
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop() as Event;
    const size = heap.length;
    if (size === 0) return;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= size) break;
      if (child + 1 < size && isBefore(heap[child + 1] as Event, heap[child] as Event)) child++;
      const below = heap[child] as Event;
      if (!isBefore(below, last)) break;
      heap[at] = below;
      at = child;
    }
    heap[at] = last;
  }
}

function isBefore(one: Event, other: Event): boolean {
  return one.at < other.at || (one.at === other.at && one.order < other.order);
}

/** Every promise that can go on has done so: microtasks come before the next immediate. */
function turn(): Promise<void> {
  return new Promise(resolve => setImmediate(resolve));
}
