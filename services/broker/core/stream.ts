import type { Message } from './message.ts';
import type { LedgerStream } from './ports.ts';
import type { ReadAhead } from './read-ahead.ts';
import type { QueueSettings } from './settings.ts';

/** Where a consumer begins (`x-stream-offset`). */
export type StreamStart = 'first' | 'last' | 'next' | { readonly offset: number } | { readonly timestampMs: number };

/** An entry on its way to a consumer. */
export interface StreamDelivery {
  readonly offset: number;
  readonly message: Omit<Message, 'route' | 'isPersistent' | 'expirationMs'>;
}

export interface StreamConsumer {
  hasCredit(): boolean;
  deliverEntry(entry: StreamDelivery, stream: StreamQueue): void;
  cancelled(): void;
}

const readBatch = { maxCount: 256, maxBytes: 1024 * 1024 };
/** Bytes: retention looks after so many were appended, at the latest. */
const retainEvery = 256 * 1024;

export interface StreamParts {
  readonly log: LedgerStream;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** It cannot be read. */
  readonly onBroken: (reason: unknown) => void;
  /** Shared by all streams. */
  readonly readAhead: ReadAhead;
}

/**
 * An append-only log that every consumer reads on its own, without taking anything away. What is not yet on disk is shown to nobody: a
 * reader must never have seen an entry that a crash then undoes.
 */
export class StreamQueue {
  readonly settings: QueueSettings;
  readonly #log: LedgerStream;
  readonly #now: () => number;
  readonly #onBroken: (reason: unknown) => void;
  readonly #readAhead: ReadAhead;
  readonly #cursors = new Map<StreamConsumer, Cursor>();
  readonly #retainEvery: number;
  #first: number;
  #next: number;
  /** First offset that is not on disk yet. */
  #committed: number;
  #sinceRetain = 0;
  #isDeleted = false;
  published = 0;
  delivered = 0;
  /** Acks make room for more; a stream takes no notice of which. */
  readonly acked = 0;

  constructor(settings: QueueSettings, { log, now, onBroken, readAhead }: StreamParts) {
    this.settings = settings;
    this.#log = log;
    this.#now = now;
    this.#onBroken = onBroken;
    this.#readAhead = readAhead;
    const state = log.state();
    this.#first = state?.firstOffset ?? 0;
    this.#next = state?.nextOffset ?? 0;
    this.#committed = this.#next;
    const segment = settings.arguments['x-stream-max-segment-size-bytes'];
    this.#retainEvery = Math.min(
      retainEvery,
      typeof segment === 'number' ? segment : retainEvery,
      (settings.maxBytes ?? retainEvery) / 4,
    );
  }

  get name(): string {
    return this.settings.name;
  }

  get messageCount(): number {
    return this.#committed - this.#first;
  }

  get consumerCount(): number {
    return this.#cursors.size;
  }

  get isDeleted(): boolean {
    return this.#isDeleted;
  }

  get bytes(): number {
    return this.#log.state()?.bytes ?? 0;
  }

  /** The offset that the next entry will have. */
  get nextOffset(): number {
    return this.#next;
  }

  /** Nobody sees it until `commit`. */
  publish({ exchange, key, properties, body }: Message): void {
    this.published++;
    this.#log.append(this.#next++, this.#now(), { exchange, key, properties, body, expiresAt: undefined });
    this.#sinceRetain += body.length + properties.length;
  }

  /** Everything before this offset is on disk. */
  commit(nextOffset: number): void {
    if (nextOffset <= this.#committed) return;
    this.#committed = nextOffset;
    if (this.#sinceRetain >= this.#retainEvery) this.retain();
    for (const consumer of [...this.#cursors.keys()]) this.pump(consumer);
  }

  /** Drops what is too much or too old, but never the newest entry. */
  retain(): void {
    this.#sinceRetain = 0;
    const { maxBytes, maxAgeMs } = this.settings;
    let first = this.#first;
    if (maxBytes !== undefined) first = Math.max(first, this.#log.offsetKeeping(maxBytes));
    if (maxAgeMs !== undefined) first = Math.max(first, this.#log.offsetSince(this.#now() - maxAgeMs));
    first = Math.min(first, this.#committed - 1);
    if (first <= this.#first) return;
    this.#first = first;
    this.#log.truncate(first);
  }

  addConsumer(consumer: StreamConsumer, start: StreamStart): void {
    this.#cursors.set(consumer, { next: this.#begin(start), isReading: false, ahead: [] });
    this.pump(consumer);
  }

  #begin(start: StreamStart): number {
    if (start === 'first') return this.#first;
    if (start === 'last') return Math.max(this.#first, this.#committed - 1);
    if (start === 'next') return this.#committed;
    if ('offset' in start) return Math.max(this.#first, start.offset);
    return this.#log.offsetSince(start.timestampMs);
  }

  removeConsumer(consumer: StreamConsumer): void {
    const cursor = this.#cursors.get(consumer);
    if (cursor) this.#hold(cursor, []);
    this.#cursors.delete(consumer);
  }

  #hold(cursor: Cursor, entries: StreamDelivery[]): void {
    this.#readAhead.drop(cursor.ahead);
    this.#readAhead.add(entries);
    cursor.ahead = entries;
  }

  /** Delivers to one consumer what it has credit for. */
  pump(consumer: StreamConsumer): void {
    const cursor = this.#cursors.get(consumer);
    if (!cursor || cursor.isReading) return;
    const isWanted = (): boolean => this.#cursors.get(consumer) === cursor && consumer.hasCredit();
    while (isWanted()) {
      const entry = cursor.ahead.shift();
      if (entry) {
        this.#readAhead.delivered(entry);
        cursor.next = entry.offset + 1;
        this.delivered++;
        consumer.deliverEntry(entry, this);
        continue;
      }
      cursor.next = Math.max(cursor.next, this.#first);
      if (cursor.next >= this.#committed) return;
      const maxCount = Math.min(readBatch.maxCount, this.#committed - cursor.next);
      let wasWanted = true;
      const reading = this.#log.read(cursor.next, { ...readBatch, maxCount }, () => {
        wasWanted = isWanted();
        return wasWanted;
      });
      if (Array.isArray(reading)) {
        if (reading.length === 0) return;
        this.#hold(cursor, reading);
        continue;
      }
      cursor.isReading = true;
      reading.then(
        entries => {
          cursor.isReading = false;
          if (this.#cursors.get(consumer) !== cursor) return;
          this.#hold(cursor, entries);
          // Not wanted when its turn came, it may be now.
          if (entries.length > 0 || !wasWanted) this.pump(consumer);
        },
        error => {
          cursor.isReading = false;
          if (!this.#isDeleted) this.#onBroken(error);
        },
      );
      return;
    }
    if (this.#readAhead.isTooMuch) this.#hold(cursor, []);
  }

  /** @returns messages that went with it, and the consumers to be told */
  delete(): { readonly messageCount: number; readonly consumers: readonly StreamConsumer[] } {
    this.#isDeleted = true;
    const consumers = [...this.#cursors.keys()];
    for (const consumer of consumers) this.removeConsumer(consumer);
    return { messageCount: this.messageCount, consumers };
  }
}

interface Cursor {
  next: number;
  isReading: boolean;
  /** Read and not yet delivered. */
  ahead: StreamDelivery[];
}
