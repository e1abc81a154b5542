import type { Failure } from '../../lib/failure.ts';
import type { Ledger, LedgerStats, MessageToStore, ReadLimits, StreamEntry, StreamState } from './ledger.ts';
import { compact } from './tail-cache.ts';

/** As the disk's ledger counts one: frame, numbers, lengths. */
const overheadBytes = 49;

/** About what an entry costs beside its bytes. */
const entryBytes = 300;

interface MemoryStream {
  /** The first is at `firstOffset`. */
  entries: StreamEntry[];
  firstOffset: number;
  bytes: number;
}

/** Keeps nothing: `sync` calls back in the next microtask, and streams are held in memory (until they are truncated). */
export function createMemoryLedger(): Ledger {
  return new MemoryLedger();
}

class MemoryLedger implements Ledger {
  readonly #streams = new Map<string, MemoryStream>();

  putExchange(): void {}
  deleteExchange(): void {}
  putQueue(): void {}
  putBinding(): void {}
  deleteBinding(): void {}
  putMessage(): void {}
  settle(): void {}
  setDeliveryCount(): void {}
  onError(_listener: (failure: Failure) => void): void {}
  onResume(): void {}

  deleteQueue(name: string): void {
    this.#streams.delete(name);
  }

  appendStream(queue: string, offset: number, timestampMs: number, message: MessageToStore): void {
    let stream = this.#streams.get(queue);
    if (!stream) {
      stream = { entries: [], firstOffset: 0, bytes: 0 };
      this.#streams.set(queue, stream);
    }
    const next = stream.firstOffset + stream.entries.length;
    if (offset !== next) throw new Error(`stream ${queue} is at ${next}, not ${offset}`);
    const timestamp = Math.max(timestampMs, stream.entries.at(-1)?.timestampMs ?? timestampMs);
    const entry = compact({ offset, timestampMs: timestamp, message });
    stream.entries.push(entry);
    stream.bytes += bytesOf(entry);
  }

  truncateStream(queue: string, firstOffset: number): void {
    const stream = this.#streams.get(queue);
    if (!stream || firstOffset <= stream.firstOffset) return;
    for (const entry of stream.entries.splice(0, firstOffset - stream.firstOffset)) {
      stream.bytes -= bytesOf(entry);
      stream.firstOffset++;
    }
  }

  readStream(queue: string, fromOffset: number, { maxCount, maxBytes }: ReadLimits): StreamEntry[] {
    const stream = this.#streams.get(queue);
    if (!stream) return [];
    const entries: StreamEntry[] = [];
    let bytes = 0;
    for (let at = Math.max(0, fromOffset - stream.firstOffset); entries.length < maxCount; at++) {
      const entry = stream.entries[at];
      if (!entry) break;
      bytes += bytesOf(entry);
      if (bytes > maxBytes && entries.length > 0) break;
      entries.push(entry);
    }
    return entries;
  }

  streamState(queue: string): StreamState | undefined {
    const stream = this.#streams.get(queue);
    if (!stream) return undefined;
    const { entries, firstOffset, bytes } = stream;
    return {
      firstOffset,
      nextOffset: firstOffset + entries.length,
      bytes,
      firstTimestampMs: entries[0]?.timestampMs,
      lastTimestampMs: entries.at(-1)?.timestampMs,
    };
  }

  streamOffsetSince(queue: string, timestampMs: number): number {
    const stream = this.#streams.get(queue);
    if (!stream) return 0;
    const at = stream.entries.findIndex(entry => entry.timestampMs >= timestampMs);
    return stream.firstOffset + (at === -1 ? stream.entries.length : at);
  }

  streamOffsetKeeping(queue: string, maxBytes: number): number {
    const stream = this.#streams.get(queue);
    if (!stream) return 0;
    let { bytes } = stream;
    let at = 0;
    for (; at < stream.entries.length && bytes > maxBytes; at++) {
      const entry = stream.entries[at];
      if (entry) bytes -= bytesOf(entry);
    }
    return stream.firstOffset + at;
  }

  sync(callback: () => void): void {
    queueMicrotask(callback);
  }

  get stats(): LedgerStats {
    let heldBytes = 0;
    for (const { bytes, entries } of this.#streams.values()) heldBytes += bytes + entries.length * entryBytes;
    return { bytesOnDisk: 0, liveBytes: 0, segments: 0, unsyncedBytes: 0, heldBytes, syncs: 0, lastSyncMs: 0 };
  }

  async close(): Promise<void> {}
}

function bytesOf({ message }: StreamEntry): number {
  const names = Buffer.byteLength(message.exchange) + Buffer.byteLength(message.key);
  return overheadBytes + names + message.properties.length + message.body.length;
}
