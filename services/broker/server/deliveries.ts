import { AmqpError } from '../amqp/error.ts';
import type { Entry } from '../core/message.ts';
import type { MessageQueue } from '../core/queue.ts';
import type { Consumer } from './consumers.ts';

/** A delivery that waits for its acknowledgement. */
export interface Unacked {
  /** Undefined for `basic.get`. */
  readonly consumer: (Consumer & { unacked: number }) | undefined;
  /** Both undefined for an entry of a stream, which stays where it is. */
  readonly queue: MessageQueue | undefined;
  readonly entry: Entry | undefined;
}

export type Verdict = 'ack' | 'requeue' | 'reject';

/** The deliveries of one channel, by their tags, and what becomes of them. */
export class Deliveries {
  readonly #unacked = new Map<number, Unacked>();
  #lastTag = 0;
  #consumed = 0;

  get size(): number {
    return this.#unacked.size;
  }

  /** Without those of `basic.get`, which no prefetch counts. */
  get consumed(): number {
    return this.#consumed;
  }

  nextTag(): number {
    return ++this.#lastTag;
  }

  track(tag: number, unacked: Unacked): void {
    this.#unacked.set(tag, unacked);
    if (unacked.consumer) this.#consumed++;
  }

  /** One delivery. @throws AmqpError 406 */
  settle(tag: number, verdict: Verdict): void {
    const unacked = this.#unacked.get(tag);
    if (!unacked) throw unknownTag(tag);
    this.#remove(tag, unacked);
    const { consumer, queue, entry } = unacked;
    if (!queue || !entry) {
      consumer?.pump();
      return;
    }
    if (verdict === 'ack') queue.ack(entry);
    else if (verdict === 'reject') queue.reject(entry);
    else queue.requeue([entry]);
    queue.pump();
  }

  /** All up to that one, or, 0, all. @throws AmqpError 406 */
  settleUpTo(tag: number, verdict: Verdict): void {
    if (tag !== 0 && !this.#unacked.has(tag)) throw unknownTag(tag);
    const settled: Unacked[] = [];
    for (const [each, unacked] of this.#unacked) {
      // Tags ascend in the order in which they were given.
      if (tag !== 0 && each > tag) break;
      this.#remove(each, unacked);
      settled.push(unacked);
    }
    if (verdict === 'requeue') requeue(settled);
    else {
      for (const { queue, entry } of settled) {
        if (!queue || !entry) continue;
        if (verdict === 'ack') queue.ack(entry);
        else queue.reject(entry);
      }
    }
    for (const next of new Set(settled.map(({ queue, consumer }) => queue ?? consumer))) next?.pump();
  }

  #remove(tag: number, { consumer }: Unacked): void {
    this.#unacked.delete(tag);
    if (!consumer) return;
    consumer.unacked--;
    this.#consumed--;
  }

  /** Everything goes back to where it was. @returns the queues to be pumped */
  giveBack(): Iterable<MessageQueue> {
    const left = [...this.#unacked.values()];
    this.#unacked.clear();
    this.#consumed = 0;
    return requeue(left);
  }
}

function requeue(unacked: readonly Unacked[]): Iterable<MessageQueue> {
  const byQueue = new Map<MessageQueue, Entry[]>();
  for (const { queue, entry } of unacked) {
    if (!queue || !entry) continue;
    const entries = byQueue.get(queue);
    if (entries) entries.push(entry);
    else byQueue.set(queue, [entry]);
  }
  for (const [queue, entries] of byQueue) queue.requeue(entries);
  return byQueue.keys();
}

function unknownTag(tag: number): AmqpError {
  return new AmqpError(406, `unknown delivery tag ${tag}`);
}
