/** One acknowledgement to send: `multiple` covers every tag up to and with this one. */
export interface Ack {
  readonly tag: number;
  readonly multiple: boolean;
}

/**
 * Turns handled deliveries into as few acknowledgements as possible. Delivery tags of a channel count up, so whatever
 * is done from the oldest on goes out as one `multiple`; what is done further on goes out alone.
 */
export class AckWindow {
  /** Delivered and not yet settled, in order of delivery. */
  readonly #open = new Set<number>();
  #done: number[] = [];

  get unsettled(): number {
    return this.#open.size + this.#done.length;
  }

  delivered(tag: number): void {
    this.#open.add(tag);
  }

  /** Done: to be acknowledged at the next `take`. */
  acked(tag: number): void {
    if (this.#open.delete(tag)) this.#done.push(tag);
  }

  /** Refused by the caller at once, so a later `multiple` may pass over it: the broker knows it as settled. */
  rejected(tag: number): void {
    this.#open.delete(tag);
  }

  /** What to send now. */
  take(): Ack[] {
    if (this.#done.length === 0) return [];
    const done = this.#done.sort((a, b) => a - b);
    this.#done = [];
    const oldestOpen = this.#open.values().next().value ?? Number.POSITIVE_INFINITY;
    const firstAlone = done.findIndex(tag => tag > oldestOpen);
    const together = firstAlone === -1 ? done.length : firstAlone;
    const acks: Ack[] = [];
    const last = done[together - 1];
    if (last !== undefined) acks.push({ tag: last, multiple: together > 1 });
    for (const tag of done.slice(together)) acks.push({ tag, multiple: false });
    return acks;
  }
}
