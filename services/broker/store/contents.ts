import { EntryTable } from './entry-table.ts';
import type { Definition } from './ledger.ts';
import type { RecordRef } from './record-ref.ts';
import { SegmentUsage } from './segment-usage.ts';

interface Defined {
  readonly definition: Definition;
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
  /** Exchange → key → its record. */
  readonly bindings: Map<string, Map<string, RecordRef>>;
  readonly messages: EntryTable;
  readonly deliveryCounts: Map<number, { readonly count: number; readonly ref: RecordRef }>;
  stream: StreamContents | undefined;
}

/** Which records of the log still matter, and where they are; of messages only that. */
export class Contents {
  readonly usage = new SegmentUsage();
  readonly exchanges = new Map<string, Defined>();
  readonly queues = new Map<string, QueueContents>();
  /** Exchange → queues that are bound to it. */
  readonly #bound = new Map<string, Set<QueueContents>>();
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
    for (const queue of this.#bound.get(name) ?? []) {
      for (const ref of queue.bindings.get(name)?.values() ?? []) this.usage.drop(ref);
      queue.bindings.delete(name);
    }
    this.#bound.delete(name);
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
    for (const [exchange, keys] of queue.bindings) {
      for (const ref of keys.values()) this.usage.drop(ref);
      this.#unbound(queue, exchange);
    }
    for (const { ref } of queue.deliveryCounts.values()) this.usage.drop(ref);
    for (const [, ref] of queue.messages.entries()) this.usage.drop(ref);
    for (const [, ref] of queue.stream?.entries.entries() ?? []) this.usage.drop(ref);
    this.#drop(queue.stream?.start);
  }

  putBinding(queue: QueueContents, exchange: string, key: string, ref: RecordRef): void {
    let keys = queue.bindings.get(exchange);
    if (!keys) {
      keys = new Map();
      queue.bindings.set(exchange, keys);
      const bound = this.#bound.get(exchange);
      if (bound) bound.add(queue);
      else this.#bound.set(exchange, new Set([queue]));
    }
    this.#drop(keys.get(key));
    keys.set(key, ref);
    this.usage.add(ref);
  }

  deleteBinding(queue: QueueContents, exchange: string, key: string): void {
    const keys = queue.bindings.get(exchange);
    this.#drop(keys?.get(key));
    keys?.delete(key);
    if (keys?.size !== 0) return;
    queue.bindings.delete(exchange);
    this.#unbound(queue, exchange);
  }

  #unbound(queue: QueueContents, exchange: string): void {
    const bound = this.#bound.get(exchange);
    bound?.delete(queue);
    if (bound?.size === 0) this.#bound.delete(exchange);
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
