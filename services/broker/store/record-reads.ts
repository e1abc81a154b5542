import type { Batch } from './batch.ts';
import { type Checksum, decodeFrame, frameBytes, offsetOf, segmentOf } from './frame.ts';
import type { RecordRef } from './record-ref.ts';
import type { Segments } from './segments.ts';

/** Records this near each other are read in one go, up to so much at once. */
const maxGap = 64 * 1024;
const maxRun = 1024 * 1024;

interface Run {
  readonly segment: number;
  /** That still holds it; undefined: on disk. */
  readonly batch: Batch | undefined;
  readonly start: number;
  end: number;
  readonly members: { readonly offset: number; readonly bytes: number; readonly at: number }[];
}

/** The payloads in the order asked for. @throws Failure STORE_DAMAGED, DISK_ERROR */
export async function readRecords(
  segments: Segments,
  unsynced: readonly Batch[],
  checksum: Checksum,
  records: readonly RecordRef[],
): Promise<Buffer[]> {
  const payloads = new Array<Buffer>(records.length);
  const take = (run: Run, bytes: Buffer): void => {
    const { salt } = segments.get(run.segment);
    for (const { offset, bytes: length, at } of run.members) {
      const from = offset - run.start;
      const frame = decodeFrame(bytes, from, salt, offset);
      const payload = bytes.subarray(from + frameBytes, from + length);
      if (frame?.length !== payload.length || checksum(payload, frame.mark) !== frame.checksum) {
        throw segments.damaged(run.segment, offset, 'a record that was good before is bad now');
      }
      payloads[at] = payload;
    }
  };
  // All begun at once, so that every segment is held before the first of them could be removed.
  await Promise.all(
    runsOf(records, unsynced).map(async run => {
      const { segment, batch, start, end } = run;
      if (batch) take(run, batch.copy(start, end - start));
      else await segments.using(segment, async file => take(run, await file.read(start, end - start)));
    }),
  );
  return payloads;
}

function runsOf(records: readonly RecordRef[], unsynced: readonly Batch[]): Run[] {
  const runs: Run[] = [];
  let run: Run | undefined;
  for (const [at, { position, bytes }] of records.entries()) {
    const segment = segmentOf(position);
    const offset = offsetOf(position);
    const end = offset + bytes;
    const batch = unsynced.find(one => one.segment === segment && one.start <= offset && offset < one.end);
    const isNear =
      run?.segment === segment &&
      run.batch === batch &&
      offset >= run.end &&
      offset - run.end <= maxGap &&
      end - run.start <= maxRun;
    if (!run || !isNear) {
      run = { segment, batch, start: offset, end, members: [] };
      runs.push(run);
    }
    run.members.push({ offset, bytes, at });
    run.end = end;
  }
  return runs;
}
