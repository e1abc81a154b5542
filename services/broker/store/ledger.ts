import type { Failure } from '../../lib/failure.ts';
import type { Body } from '../amqp/body.ts';

/** An exchange or a queue as the core describes it: whatever JSON can hold, found again by its name. */
export interface Definition {
  readonly name: string;
  readonly [attribute: string]: unknown;
}

export interface Binding {
  readonly exchange: string;
  readonly queue: string;
  readonly key: string;
}

export interface StoredMessage {
  /** At most 255 bytes in UTF-8, as AMQP's short strings. */
  readonly exchange: string;
  /** At most 255 bytes in UTF-8. */
  readonly key: string;
  /** Encoded by the caller; its bytes, like the body's, must not change until they are on disk. */
  readonly properties: Buffer;
  readonly body: Buffer;
  /** Milliseconds since the epoch. */
  readonly expiresAt: number | undefined;
}

/** A message to be stored. */
export interface MessageToStore extends Omit<StoredMessage, 'body'> {
  readonly body: Body;
}

export interface StreamEntry {
  readonly offset: number;
  readonly timestampMs: number;
  readonly message: StoredMessage;
}

export interface StreamState {
  readonly firstOffset: number;
  /** The offset that the next entry must have. */
  readonly nextOffset: number;
  /** On disk, headers included. */
  readonly bytes: number;
  /** Of the first entry held; undefined while there is none. */
  readonly firstTimestampMs: number | undefined;
  readonly lastTimestampMs: number | undefined;
}

export interface ReadLimits {
  readonly maxCount: number;
  /** On disk, headers included. */
  readonly maxBytes: number;
}

export interface LedgerStats {
  readonly bytesOnDisk: number;
  /** What a log without garbage would take. */
  readonly liveBytes: number;
  readonly segments: number;
  /** Said and not on disk yet: grows while the disk is slow or full, so the caller must hold its publishers back. */
  readonly unsyncedBytes: number;
  /** Of streams, in memory. */
  readonly heldBytes: number;
  readonly syncs: number;
  readonly lastSyncMs: number;
}

/**
 * What must outlive the process. Every method is synchronous and only says something; `sync` tells when all that was said
 * is on disk. After a crash the ledger knows what was said up to some moment, which is never before the last `sync` that
 * called back: nothing later, nothing in between left out.
 *
 * Messages of ordinary queues are given back once, at opening, and then held by the caller; entries of streams are read
 * with `readStream`. Naming a queue that was not put is a mistake of the caller and throws.
 */
export interface Ledger {
  /** Adds or replaces. */
  putExchange(definition: Definition): void;
  /** With its bindings. Unknown ones are ignored. */
  deleteExchange(name: string): void;
  /** Adds, or replaces the definition and keeps the messages. */
  putQueue(definition: Definition): void;
  /** With its bindings, messages and stream entries; a later queue of that name starts empty. Unknown ones are ignored. */
  deleteQueue(name: string): void;
  putBinding(binding: Binding): void;
  deleteBinding(binding: Binding): void;

  /** `index` ascends in each queue (gaps are fine) and is below 2^48. */
  putMessage(queue: string, index: number, message: MessageToStore): void;
  /** Acknowledged, expired or dropped: it does not come back. Unknown ones are ignored. */
  settle(queue: string, index: number): void;
  /** How often it was handed out so far (for `x-delivery-limit`). Unknown messages are ignored. */
  setDeliveryCount(queue: string, index: number, count: number): void;

  /**
   * `offset` is the stream's next. A reader should be given an entry only when `sync` has called back for it: until then
   * a crash may replace it by another with the same offset.
   */
  appendStream(queue: string, offset: number, timestampMs: number, message: MessageToStore): void;
  /** Drops every entry before `firstOffset`. */
  truncateStream(queue: string, firstOffset: number): void;
  /**
   * Entries from `fromOffset` (or the first held) on, in order; at least one if there is any, else within the limits. At
   * once when the tail cache holds them, else from disk, a few readers at a time.
   * @param isWanted asked when its turn comes; none are read if not
   * @throws Failure STORE_DAMAGED, DISK_ERROR
   */
  readStream(
    queue: string,
    fromOffset: number,
    limits: ReadLimits,
    isWanted?: () => boolean,
  ): StreamEntry[] | Promise<StreamEntry[]>;
  /** Undefined if nothing was ever appended. */
  streamState(queue: string): StreamState | undefined;
  /** The first offset with this timestamp or a later one; the next offset if there is none. */
  streamOffsetSince(queue: string, timestampMs: number): number;
  /** The first offset to keep so that the stream takes at most that many bytes. */
  streamOffsetKeeping(queue: string, maxBytes: number): number;

  /** Calls back once all that was said so far is on disk; never before it returns, and in the order of the calls. */
  sync(callback: () => void): void;
  /**
   * DISK_FULL, DISK_ERROR: nothing is confirmed from now on, it is tried again and again, nothing is lost meanwhile.
   * STORE_DAMAGED: cleaning found a bad record in what was good at opening, and leaves that file alone. CLEANING_FAILED: it
   * could not read or remove a file, and tries again. After these two all is confirmed as before, only the log grows.
   */
  onError(listener: (failure: Failure) => void): void;
  /** After DISK_FULL or DISK_ERROR: it writes again. */
  onResume(listener: () => void): void;
  readonly stats: LedgerStats;
  /** Writes what is left. @throws Failure DISK_FULL, DISK_ERROR if that fails */
  close(): Promise<void>;
}

export interface RecoveredMessage {
  readonly index: number;
  readonly message: StoredMessage;
  /** 0 when never set. */
  readonly deliveryCount: number;
}

/** What the ledger knew at its opening. */
export interface Recovered {
  readonly exchanges: readonly Definition[];
  readonly queues: readonly Definition[];
  readonly bindings: readonly Binding[];
  /** By queue, ordered by index; queues without messages are left out. */
  readonly messages: ReadonlyMap<string, RecoveredMessage[]>;
  /** By queue, of queues that have or had stream entries. */
  readonly streams: ReadonlyMap<string, StreamState>;
  /** Of a write that the last crash interrupted: never confirmed, now gone. */
  readonly cutBytes: number;
}
