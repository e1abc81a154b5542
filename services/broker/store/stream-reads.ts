import type { StreamContents } from './contents.ts';
import type { Journal } from './journal.ts';
import type { ReadLimits, StreamEntry, StreamState } from './ledger.ts';
import { indexOf, messageOf, timestampOf } from './record.ts';
import type { RecordRef } from './record-ref.ts';
import type { TailCache } from './tail-cache.ts';

/** What the cache has from there, the others from disk. */
export function readStreamEntries(
  stream: StreamContents,
  cache: TailCache | undefined,
  journal: Pick<Journal, 'read'>,
  fromOffset: number,
  limits: ReadLimits,
): StreamEntry[] | Promise<StreamEntry[]> {
  const start = Math.max(fromOffset, stream.firstOffset);
  const newest: StreamEntry[] = [];
  const records: RecordRef[] = [];
  let bytes = 0;
  for (let offset = start; offset < stream.nextOffset && offset - start < limits.maxCount; offset++) {
    const record = stream.entries.get(offset);
    if (!record) break;
    bytes += record.bytes;
    if (bytes > limits.maxBytes && offset > start) break;
    const cached = cache?.get(offset);
    if (cached) newest.push(cached);
    else records.push(record);
  }
  if (records.length === 0) return newest;
  return journal.read(records).then(older => [...older.map(entryOf), ...newest]);
}

function entryOf(record: Buffer): StreamEntry {
  return { offset: indexOf(record), timestampMs: timestampOf(record), message: messageOf(record) };
}

export function streamStateOf(stream: StreamContents | undefined): StreamState | undefined {
  if (!stream) return undefined;
  const { entries, firstOffset, nextOffset, lastTimestampMs } = stream;
  return {
    firstOffset,
    nextOffset,
    bytes: entries.bytes,
    firstTimestampMs: entries.count > 0 ? entries.timestamp(firstOffset) : undefined,
    lastTimestampMs: entries.count > 0 ? lastTimestampMs : undefined,
  };
}

/** Timestamps do not descend, so a binary search finds it. */
export function offsetSince({ entries, firstOffset, nextOffset }: StreamContents, timestampMs: number): number {
  let low = firstOffset;
  let high = nextOffset;
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    if ((entries.timestamp(middle) ?? 0) < timestampMs) low = middle + 1;
    else high = middle;
  }
  return low;
}

export function offsetKeeping({ entries, firstOffset, nextOffset }: StreamContents, maxBytes: number): number {
  let bytes = entries.bytes;
  let offset = firstOffset;
  for (; offset < nextOffset && bytes > maxBytes; offset++) bytes -= entries.get(offset)?.bytes ?? 0;
  return offset;
}
