/** Events in order of virtual time, first in first out at the same time. Milliseconds. */
export class VirtualTime {
  now = 0;
  #count = 0;
  readonly #events: { at: number; order: number; act: () => void }[] = [];

  after(delayMs: number, act: () => void): void {
    const event = { at: this.now + delayMs, order: this.#count++, act };
    let low = 0;
    let high = this.#events.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const other = this.#events[middle];
      if (other && (other.at < event.at || (other.at === event.at && other.order < event.order))) low = middle + 1;
      else high = middle;
    }
    this.#events.splice(low, 0, event);
  }

  /** Runs what is due until `end`, or until nothing is left. */
  runUntil(end: number): void {
    for (let event = this.#events[0]; event && event.at <= end; event = this.#events[0]) {
      this.#events.shift();
      this.now = event.at;
      event.act();
    }
    this.now = Math.max(this.now, end);
  }
}
