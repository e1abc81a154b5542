import type { StoredMessage, StreamEntry, StreamState } from '../store/ledger.ts';

/** One stream's part of the ledger. */
export interface LedgerStream {
  state(): StreamState | undefined;
  append(offset: number, timestampMs: number, message: StoredMessage): void;
  truncate(firstOffset: number): void;
  read(
    fromOffset: number,
    limits: { readonly maxCount: number; readonly maxBytes: number },
  ): StreamEntry[] | Promise<StreamEntry[]>;
  offsetSince(timestampMs: number): number;
  offsetKeeping(maxBytes: number): number;
}

/** Time as the broker's core needs it; a simulation gives its own. */
export interface Clock {
  /** Milliseconds since the epoch. */
  now(): number;
  /** Calls back once, that much later. @returns what cancels it */
  after(ms: number, act: () => void): () => void;
}
