import type { Disk, DiskFile } from './disk.ts';
import { type Checksum, type Position, positionOf } from './frame.ts';
import { decodeHeader, headerBytes } from './segment-header.ts';
import { parseSegmentName, segmentName } from './segment-name.ts';
import { walkSegment, wasSynced } from './segment-walk.ts';
import { damaged, type Segments } from './segments.ts';

const copyBytes = 1024 * 1024;

/** A record found at opening; the payload is only good during the call. */
export type RecordVisitor = (payload: Buffer, position: Position) => void;

/**
 * Visits every record of the log in order and cuts what a crash left half-written at its end. Afterwards everything that
 * is there is on disk for good.
 * @returns how many bytes were cut
 * @throws Failure STORE_DAMAGED when something is wrong that no crash explains; STORE_VERSION
 */
export async function recover(
  disk: Disk,
  segments: Segments,
  checksum: Checksum,
  visit: RecordVisitor,
): Promise<number> {
  const numbers = await segmentNumbers(disk);
  let cutBytes = 0;
  for (const number of numbers) {
    const isLast = number === numbers.at(-1);
    const file = await segments.open(number);
    const size = await file.size();
    const salt = decodeHeader(await file.read(0, headerBytes), segments.path(number));
    if (salt === undefined) {
      // A header is on disk before anything else is written to its file: a file with more than that was not torn.
      if (!isLast || size > headerBytes) throw segments.damaged(number, 0, 'its header is unreadable');
      cutBytes += size;
      await segments.forget(number);
      await disk.remove(segmentName(number));
      break;
    }
    const whole = { salt, from: headerBytes, until: size, maxRecords: Number.POSITIVE_INFINITY, end: size, checksum };
    const {
      stoppedAt: end,
      isBad,
      syncedTo,
    } = await walkSegment(file, whole, (offset, payload) => visit(payload, positionOf(number, offset)));
    if (isBad) {
      if (!isLast) throw segments.damaged(number, end, 'a bad record, and later files follow');
      if (await wasSynced(file, end, size, salt)) {
        throw segments.damaged(number, end, 'a bad record, and later ones are whole');
      }
      await file.truncate(end);
      cutBytes += size - end;
    }
    if (isLast) await makeSafe(file, syncedTo, end);
    segments.add({ number, salt, end, isOnDisk: true });
  }
  await disk.syncDir();
  return cutBytes;
}

/**
 * What a killed process left may be in the system's cache only, and a cut must hold before anything takes its place. Written
 * again, since after a failed sync the cache may hold as clean what never reached the disk.
 */
async function makeSafe(file: DiskFile, from: number, end: number): Promise<void> {
  for (let offset = from; offset < end; offset += copyBytes) {
    await file.write(offset, [await file.read(offset, Math.min(copyBytes, end - offset))]);
  }
  await file.sync();
}

async function segmentNumbers(disk: Disk): Promise<number[]> {
  const numbers = (await disk.list())
    .map(parseSegmentName)
    .filter(number => number !== undefined)
    .sort((a, b) => a - b);
  for (const [i, number] of numbers.entries()) {
    const before = numbers[i - 1];
    if (before !== undefined && number !== before + 1) {
      throw damaged(`${disk.name}/${segmentName(before + 1)} is missing, others follow it`);
    }
  }
  return numbers;
}
