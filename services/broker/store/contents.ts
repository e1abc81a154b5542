import { EntryTable } from './entry-table.ts';
import type { Definition } from './ledger.ts';
import type { RecordRef } from './record-ref.ts';
import { SegmentUsage } from './segment-usage.ts';

interface Defined {
  readonly definition: Definition;
  readonly ref: RecordRef;
}

interface BoundKey {
  readonly exchange: string;
  readonly key: string;
  readonly ref: RecordRef;
}

export interface StreamContents {
  readonly entries: EntryTable;
  firstOffset: number;
  nextOffset: number;
  lastTimestampMs: number | undefined;
  /** The record that says the first offset, kept while it is the newest such. */
  start: RecordRef | undefined;
}

export interface QueueContents {
  readonly id: number;
  /** Undefined only while a log is replayed whose first records were moved to its end. */
  defined: Defined | undefined;
  readonly bindings: Map<string, BoundKey>;
  readonly messages: EntryTable;
  readonly deliveryCounts: Map<number, { readonly count: number; readonly ref: RecordRef }>;
  stream: StreamContents | undefined;
}

export const bindingKey = (exchange: string, key: string): string => JSON.stringify([exchange, key]);

/** Which records of the log still matter, and where they are; of messages only that. */
export class Contents {
  readonly usage = new SegmentUsage();
  readonly exchanges = new Map<string, Defined>();
  readonly queues = new Map<string, QueueContents>();
  readonly #byId = new Map<number, QueueContents>();
  #nextId = 1;

  /** The number for a new queue. */
  get nextQueueId(): number {
    return this.#nextId;
  }

  queue(name: string): QueueContents {
    const queue = this.queues.get(name);
    if (!queue) throw new Error(`the ledger knows no queue ${name}`);
    return queue;
  }

  /** Queues that have something and no definition: a sound log leaves none. */
  undefinedQueues(): QueueContents[] {
    return [...this.#byId.values()].filter(queue => !queue.defined);
  }

  putExchange(definition: Definition, ref: RecordRef): void {
    this.#drop(this.exchanges.get(definition.name)?.ref);
    this.exchanges.set(definition.name, { definition, ref });
    this.usage.add(ref);
  }

  deleteExchange(name: string): void {
    this.#drop(this.exchanges.get(name)?.ref);
    this.exchanges.delete(name);
    for (const queue of this.#byId.values()) {
      for (const bound of queue.bindings.values())
        if (bound.exchange === name) this.deleteBinding(queue, name, bound.key);
    }
  }

  putQueue(id: number, definition: Definition, ref: RecordRef): void {
    const queue = this.queueOf(id);
    this.#drop(queue.defined?.ref);
    queue.defined = { definition, ref };
    this.queues.set(definition.name, queue);
    this.usage.add(ref);
  }

  deleteQueue(queue: QueueContents): void {
    this.#byId.delete(queue.id);
    if (queue.defined) this.queues.delete(queue.defined.definition.name);
    this.#drop(queue.defined?.ref);
    for (const { ref } of queue.bindings.values()) this.usage.drop(ref);
    for (const { ref } of queue.deliveryCounts.values()) this.usage.drop(ref);
    for (const [, ref] of queue.messages.entries()) this.usage.drop(ref);
    for (const [, ref] of queue.stream?.entries.entries() ?? []) this.usage.drop(ref);
    this.#drop(queue.stream?.start);
  }

  putBinding(queue: QueueContents, exchange: string, key: string, ref: RecordRef): void {
    const name = bindingKey(exchange, key);
    this.#drop(queue.bindings.get(name)?.ref);
    queue.bindings.set(name, { exchange, key, ref });
    this.usage.add(ref);
  }

  deleteBinding(queue: QueueContents, exchange: string, key: string): void {
    const name = bindingKey(exchange, key);
    this.#drop(queue.bindings.get(name)?.ref);
    queue.bindings.delete(name);
  }

  putMessage(queue: QueueContents, index: number, ref: RecordRef): void {
    this.#drop(queue.messages.get(index));
    queue.messages.set(index, ref);
    this.usage.add(ref);
  }

  /** Also of a message that is not there yet, while a log is replayed: its count may stand before its copy. */
  settle(queue: QueueContents, index: number): void {
    this.#drop(queue.messages.delete(index));
    if (queue.deliveryCounts.size === 0) return;
    this.#drop(queue.deliveryCounts.get(index)?.ref);
    queue.deliveryCounts.delete(index);
  }

  setDeliveryCount(queue: QueueContents, index: number, count: number, ref: RecordRef): void {
    this.#drop(queue.deliveryCounts.get(index)?.ref);
    queue.deliveryCounts.set(index, { count, ref });
    this.usage.add(ref);
  }

  putStreamEntry(queue: QueueContents, offset: number, timestampMs: number, ref: RecordRef): void {
    const stream = this.streamOf(queue);
    if (offset < stream.firstOffset) return;
    this.#drop(stream.entries.get(offset));
    stream.entries.set(offset, ref, timestampMs);
    this.usage.add(ref);
    if (offset < stream.nextOffset) return;
    stream.nextOffset = offset + 1;
    stream.lastTimestampMs = timestampMs;
  }

  startStreamAt(queue: QueueContents, firstOffset: number, ref: RecordRef): void {
    const stream = this.streamOf(queue);
    // Whichever is less to look at: a log that is replayed says the start of a stream in one leap.
    if (firstOffset - stream.firstOffset <= stream.entries.count) {
      for (let offset = stream.firstOffset; offset < firstOffset; offset++) this.#drop(stream.entries.delete(offset));
    } else {
      for (const [offset] of stream.entries.entries())
        if (offset < firstOffset) this.#drop(stream.entries.delete(offset));
    }
    this.#drop(stream.start);
    stream.start = ref;
    this.usage.add(ref);
    stream.firstOffset = Math.max(stream.firstOffset, firstOffset);
    stream.nextOffset = Math.max(stream.nextOffset, firstOffset);
  }

  streamOf(queue: QueueContents): StreamContents {
    queue.stream ??= {
      entries: new EntryTable('timestamps'),
      firstOffset: 0,
      nextOffset: 0,
      lastTimestampMs: undefined,
      start: undefined,
    };
    return queue.stream;
  }

  knownQueue(id: number): QueueContents | undefined {
    return this.#byId.get(id);
  }

  /** The queue of that number; a new one without definition if there is none. */
  queueOf(id: number): QueueContents {
    let queue = this.#byId.get(id);
    if (!queue) {
      queue = {
        id,
        defined: undefined,
        bindings: new Map(),
        messages: new EntryTable('plain'),
        deliveryCounts: new Map(),
        stream: undefined,
      };
      this.#byId.set(id, queue);
      this.#nextId = Math.max(this.#nextId, id + 1);
    }
    return queue;
  }

  #drop(ref: RecordRef | undefined): void {
    if (ref) this.usage.drop(ref);
  }
}
