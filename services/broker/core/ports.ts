import type { Ledger, MessageToStore, StreamEntry, StreamState } from '../store/ledger.ts';

/** One stream's part of the ledger. */
export interface LedgerStream {
  state(): StreamState | undefined;
  append(offset: number, timestampMs: number, message: MessageToStore): void;
  truncate(firstOffset: number): void;
  read(
    fromOffset: number,
    limits: { readonly maxCount: number; readonly maxBytes: number },
    isWanted: () => boolean,
  ): StreamEntry[] | Promise<StreamEntry[]>;
  offsetSince(timestampMs: number): number;
  offsetKeeping(maxBytes: number): number;
}

export function ledgerStream(ledger: Ledger, name: string): LedgerStream {
  return {
    state: () => ledger.streamState(name),
    append: (offset, timestampMs, message) => ledger.appendStream(name, offset, timestampMs, message),
    truncate: firstOffset => ledger.truncateStream(name, firstOffset),
    read: (fromOffset, most, isWanted) => ledger.readStream(name, fromOffset, most, isWanted),
    offsetSince: timestampMs => ledger.streamOffsetSince(name, timestampMs),
    offsetKeeping: maxBytes => ledger.streamOffsetKeeping(name, maxBytes),
  };
}

/** Time as the broker's core needs it; a simulation gives its own. */
export interface Clock {
  /** Milliseconds since the epoch. */
  now(): number;
  /** Calls back once, that much later, or a little sooner, or sooner because it is very long. @returns what cancels it */
  after(ms: number, act: () => void): () => void;
}
