import type { Failure } from '../../lib/failure.ts';
import { Turns } from '../../lib/turns.ts';
import { applyRecord } from './apply-record.ts';
import { Cleaner, type CleanerOptions, cleanerDefaults } from './cleaner.ts';
import { Contents } from './contents.ts';
import type { Disk } from './disk.ts';
import { frameBytes } from './frame.ts';
import { Journal, type JournalOptions, journalDefaults } from './journal.ts';
import type {
  Binding,
  Definition,
  Ledger,
  LedgerStats,
  MessageToStore,
  ReadLimits,
  Recovered,
  StreamEntry,
  StreamState,
} from './ledger.ts';
import {
  encodeBinding,
  encodeExchange,
  encodeExchangeDeleted,
  encodeQueue,
  encodeQueueDeleted,
  RecordEncoder,
} from './record.ts';
import type { RecordRef } from './record-ref.ts';
import { recoveredOf } from './recovered.ts';
import { RecoveredMessages } from './recovered-messages.ts';
import { offsetKeeping, offsetSince, readStreamEntries, streamStateOf } from './stream-reads.ts';
import { type TailCacheOptions, TailCaches, tailCacheDefaults } from './tail-caches.ts';

export interface LedgerOptions extends JournalOptions, CleanerOptions, TailCacheOptions {}

export const ledgerDefaults: LedgerOptions = { ...journalDefaults, ...cleanerDefaults, ...tailCacheDefaults };

/**
 * Opens the store in that directory, which nobody else may have open.
 * @throws Failure STORE_DAMAGED, STORE_VERSION, DISK_ERROR, DISK_FULL
 */
export async function openLedger(
  disk: Disk,
  options: Partial<LedgerOptions> = {},
): Promise<{ ledger: Ledger; recovered: Recovered }> {
  const settings = { ...ledgerDefaults, ...options };
  const contents = new Contents();
  const messages = new RecoveredMessages();
  const journal = await Journal.open(
    disk,
    (record, position) => applyRecord(contents, record, { position, bytes: frameBytes + record.length }, messages),
    settings,
  );
  try {
    const recovered = recoveredOf(contents, messages, disk.name, journal.cutBytes);
    const cleaner = new Cleaner(journal, contents, settings);
    return { ledger: new DiskLedger({ journal, cleaner, contents }, settings), recovered };
  } catch (error) {
    await journal.segments.close();
    throw error;
  }
}

export interface LedgerParts {
  readonly journal: Journal;
  readonly cleaner: Cleaner;
  readonly contents: Contents;
}

/** Of streams, from disk: each may take as much memory as one entry or a batch. */
const readsAtOnce = 8;

/** The ledger on a log: says everything to the journal, and to the contents where it stands. */
export class DiskLedger implements Ledger {
  readonly #journal: Journal;
  readonly #cleaner: Cleaner;
  readonly #contents: Contents;
  readonly #encoder = new RecordEncoder();
  readonly #caches: TailCaches;
  readonly #reads = new Turns(readsAtOnce);

  constructor({ journal, cleaner, contents }: LedgerParts, options: TailCacheOptions) {
    this.#journal = journal;
    this.#cleaner = cleaner;
    this.#contents = contents;
    this.#caches = new TailCaches(options);
    journal.flushes.onSynced = () => cleaner.check();
    cleaner.check();
  }

  putExchange(definition: Definition): void {
    this.#contents.putExchange(definition, this.#say(encodeExchange(definition)));
  }

  deleteExchange(name: string): void {
    if (!this.#contents.exchanges.has(name)) return;
    this.#say(encodeExchangeDeleted(name));
    this.#contents.deleteExchange(name);
  }

  putQueue(definition: Definition): void {
    const id = this.#contents.queues.get(definition.name)?.id ?? this.#contents.nextQueueId;
    this.#contents.putQueue(id, definition, this.#say(encodeQueue(id, definition)));
  }

  deleteQueue(name: string): void {
    const queue = this.#contents.queues.get(name);
    if (!queue) return;
    this.#say(encodeQueueDeleted(queue.id));
    this.#contents.deleteQueue(queue);
    this.#caches.delete(queue);
  }

  putBinding({ exchange, queue: name, key }: Binding): void {
    const queue = this.#contents.queue(name);
    this.#contents.putBinding(queue, exchange, key, this.#say(encodeBinding(queue.id, exchange, key, false)));
  }

  deleteBinding({ exchange, queue: name, key }: Binding): void {
    const queue = this.#contents.queues.get(name);
    if (!queue?.bindings.get(exchange)?.has(key)) return;
    this.#say(encodeBinding(queue.id, exchange, key, true));
    this.#contents.deleteBinding(queue, exchange, key);
  }

  putMessage(name: string, index: number, message: MessageToStore): void {
    const queue = this.#contents.queue(name);
    this.#contents.putMessage(queue, index, this.#say(this.#encoder.message(queue.id, index, message)));
  }

  settle(name: string, index: number): void {
    const queue = this.#contents.queue(name);
    if (!queue.messages.has(index)) return;
    this.#say(this.#encoder.settled(queue.id, index));
    this.#contents.settle(queue, index);
  }

  setDeliveryCount(name: string, index: number, count: number): void {
    const queue = this.#contents.queue(name);
    if (!queue.messages.has(index)) return;
    this.#contents.setDeliveryCount(
      queue,
      index,
      count,
      this.#say(this.#encoder.deliveryCount(queue.id, index, count)),
    );
  }

  appendStream(name: string, offset: number, timestampMs: number, message: MessageToStore): void {
    const queue = this.#contents.queue(name);
    const stream = this.#contents.streamOf(queue);
    if (offset !== stream.nextOffset) throw new Error(`stream ${name} is at ${stream.nextOffset}, not ${offset}`);
    // The clock may be set back; readers by timestamp search for the first one.
    const timestamp = Math.max(timestampMs, stream.lastTimestampMs ?? timestampMs);
    const ref = this.#say(this.#encoder.streamEntry(queue.id, offset, timestamp, message));
    this.#contents.putStreamEntry(queue, offset, timestamp, ref);
    this.#caches.push(queue, { offset, timestampMs: timestamp, message });
  }

  truncateStream(name: string, firstOffset: number): void {
    const queue = this.#contents.queue(name);
    const first = Math.min(firstOffset, queue.stream?.nextOffset ?? 0);
    if (first <= (queue.stream?.firstOffset ?? 0)) return;
    this.#contents.startStreamAt(queue, first, this.#say(this.#encoder.streamStart(queue.id, first)));
    this.#caches.dropBefore(queue, first);
  }

  readStream(
    name: string,
    fromOffset: number,
    limits: ReadLimits,
    isWanted = () => true,
  ): StreamEntry[] | Promise<StreamEntry[]> {
    const queue = this.#contents.queue(name);
    const { stream } = queue;
    if (!stream) return [];
    const cache = this.#caches.of(queue);
    const read = (): StreamEntry[] | Promise<StreamEntry[]> =>
      readStreamEntries(stream, cache, this.#journal, fromOffset, limits);
    const start = Math.max(fromOffset, stream.firstOffset);
    if (start >= stream.nextOffset || cache?.get(start)) return read();
    return this.#reads.take(async () => (isWanted() ? await read() : []));
  }

  streamState(name: string): StreamState | undefined {
    return streamStateOf(this.#contents.queue(name).stream);
  }

  streamOffsetSince(name: string, timestampMs: number): number {
    const { stream } = this.#contents.queue(name);
    return stream ? offsetSince(stream, timestampMs) : 0;
  }

  streamOffsetKeeping(name: string, maxBytes: number): number {
    const { stream } = this.#contents.queue(name);
    return stream ? offsetKeeping(stream, maxBytes) : 0;
  }

  sync(callback: () => void): void {
    this.#journal.whenSynced(callback);
  }

  onError(listener: (failure: Failure) => void): void {
    this.#journal.flushes.onError = listener;
    this.#cleaner.onError = listener;
  }

  onResume(listener: () => void): void {
    this.#journal.flushes.onResume = listener;
  }

  get stats(): LedgerStats {
    const { segments, flushes } = this.#journal;
    return {
      bytesOnDisk: segments.bytes,
      liveBytes: this.#contents.usage.bytes,
      segments: segments.count,
      unsyncedBytes: flushes.unsyncedBytes,
      heldBytes: this.#caches.bytes,
      syncs: flushes.syncs,
      lastSyncMs: flushes.lastSyncMs,
    };
  }

  async close(): Promise<void> {
    await this.#cleaner.stop();
    await this.#journal.close();
  }

  #say(parts: readonly Buffer[]): RecordRef {
    let bytes = frameBytes;
    for (const part of parts) bytes += part.length;
    return { position: this.#journal.append(parts), bytes };
  }
}
