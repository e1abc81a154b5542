import type { DiskFile } from './disk.ts';
import { type Checksum, decodeFrame, frameBytes } from './frame.ts';

const readBytes = 1024 * 1024;

export interface SegmentPart {
  readonly salt: number;
  /** Where a record begins. */
  readonly from: number;
  /** Records that begin before it are visited, */
  readonly until: number;
  /** and no more than so many. */
  readonly maxRecords: number;
  /** The end of what is written. */
  readonly end: number;
  readonly checksum: Checksum;
}

export interface Walk {
  readonly stoppedAt: number;
  /** Whether a bad record stands there. */
  readonly isBad: boolean;
  /** Everything before it was synced: where the flush of the last record began. */
  readonly syncedTo: number;
}

/** Visits the records in order; a payload is only good during the call. */
export async function walkSegment(
  file: DiskFile,
  { salt, from, until, maxRecords, end, checksum }: SegmentPart,
  visit: (offset: number, payload: Buffer) => void,
): Promise<Walk> {
  let window: Buffer = Buffer.alloc(0);
  let windowStart = from;
  const see = async (offset: number, bytes: number): Promise<void> => {
    if (offset + bytes <= windowStart + window.length) return;
    const length = Math.max(bytes, Math.min(readBytes, until - offset + frameBytes));
    window = await file.read(offset, Math.min(length, end - offset));
    windowStart = offset;
  };
  let offset = from;
  let syncedTo = 0;
  const stop = (isBad: boolean): Walk => ({ stoppedAt: offset, isBad, syncedTo });
  for (let count = 0; offset < until && count < maxRecords; count++) {
    if (offset + frameBytes > end) return stop(true);
    await see(offset, frameBytes);
    const frame = decodeFrame(window, offset - windowStart, salt, offset);
    if (!frame || offset + frameBytes + frame.length > end) return stop(true);
    await see(offset, frameBytes + frame.length);
    const at = offset - windowStart + frameBytes;
    const payload = window.subarray(at, at + frame.length);
    if (payload.length < frame.length || checksum(payload, frame.mark) !== frame.checksum) return stop(true);
    syncedTo = frame.batchStart;
    if (frame.length > 0) visit(offset, payload);
    offset += frameBytes + frame.length;
  }
  return stop(false);
}

/**
 * Whether what stands at `bad` was on disk once: some record further on went out with a flush that began after it.
 * Looks at every byte, since a bad record does not tell where the next one begins.
 */
export async function wasSynced(file: DiskFile, bad: number, end: number, salt: number): Promise<boolean> {
  for (let start = bad + 1; start + frameBytes <= end; start += readBytes) {
    const window = await file.read(start, Math.min(readBytes + frameBytes - 1, end - start));
    for (let at = 0; at + frameBytes <= window.length; at++) {
      const frame = decodeFrame(window, at, salt, start + at);
      if (frame && frame.batchStart > bad) return true;
    }
  }
  return false;
}
