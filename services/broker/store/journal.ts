import { randomInt } from 'node:crypto';
import { Batch, ChunkPool } from './batch.ts';
import type { Disk } from './disk.ts';
import { FlushLoop, type FlushOptions } from './flush-loop.ts';
import { type Checksum, crc, maxSegmentBytes, type Position, positionOf } from './frame.ts';
import { readRecords } from './record-reads.ts';
import type { RecordRef } from './record-ref.ts';
import { type RecordVisitor, recover } from './recovery.ts';
import { encodeHeader, headerBytes } from './segment-header.ts';
import { walkSegment } from './segment-walk.ts';
import { Segments } from './segments.ts';

export interface JournalOptions extends FlushOptions {
  /** A segment that has grown beyond it is followed by a new one. At most 64 MiB. */
  readonly segmentBytes: number;
  readonly checksum: Checksum;
  /** 32 random bits. */
  readonly salt: () => number;
}

export const journalDefaults: JournalOptions = {
  segmentBytes: 32 * 1024 * 1024,
  retryMs: 1_000,
  checksum: crc,
  salt: () => randomInt(2 ** 32),
  after: (ms, act) => void setTimeout(act, ms),
};

export interface ScanLimits {
  readonly maxBytes: number;
  readonly maxRecords: number;
}

/**
 * An append-only log of records in segments. `append` only buffers; a flush loop writes and syncs what has gathered. A
 * record is opaque here; which ones still matter is the caller's business, who removes the oldest segment when none in it do.
 */
export class Journal {
  readonly segments: Segments;
  readonly flushes: FlushLoop;
  /** What opening cut off the end. */
  readonly cutBytes: number;
  readonly #disk: Disk;
  readonly #options: JournalOptions;
  readonly #pool = new ChunkPool();
  #isClosed = false;
  #appendedBytes = 0;

  /**
   * Visits every record there is, in order, before it resolves.
   * @throws Failure STORE_DAMAGED, STORE_VERSION, DISK_ERROR, DISK_FULL
   */
  static async open(disk: Disk, visit: RecordVisitor, options: JournalOptions): Promise<Journal> {
    if (options.segmentBytes > maxSegmentBytes) throw new RangeError(`segmentBytes is ${options.segmentBytes}`);
    const segments = new Segments(disk);
    try {
      const cutBytes = await recover(disk, segments, options.checksum, visit);
      return new Journal(disk, segments, cutBytes, options);
    } catch (error) {
      await segments.close();
      throw error;
    }
  }

  private constructor(disk: Disk, segments: Segments, cutBytes: number, options: JournalOptions) {
    this.#disk = disk;
    this.segments = segments;
    this.cutBytes = cutBytes;
    this.#options = options;
    this.flushes = new FlushLoop(batch => this.#write(batch), options);
  }

  /** Since the opening. */
  get appendedBytes(): number {
    return this.#appendedBytes;
  }

  /** One record. Parts of 16 KiB and more are not copied: they must not change until they are on disk. */
  append(parts: readonly Buffer[]): Position {
    if (this.#isClosed) throw new Error('append to a closed journal');
    let segment = this.segments.newest;
    if (!segment || segment.end >= this.#options.segmentBytes) {
      const number = (segment?.number ?? 0) + 1;
      segment = { number, salt: this.#options.salt(), end: headerBytes, isOnDisk: false };
      this.segments.add(segment);
    }
    let batch = this.flushes.gathering;
    if (batch?.segment !== segment.number) {
      const place = { segment: segment.number, start: segment.end, salt: segment.salt };
      batch = new Batch(place, this.#pool, this.#options.checksum);
      this.flushes.add(batch);
    }
    const offset = batch.add(parts);
    this.#appendedBytes += batch.end - offset;
    this.segments.grow(segment, batch.end);
    return positionOf(segment.number, offset);
  }

  /** Calls back when all that was appended so far is on disk; never before it returns. */
  whenSynced(callback: () => void): void {
    this.flushes.whenSynced(callback);
  }

  /** The payloads, also of what is not written yet. @throws Failure STORE_DAMAGED, DISK_ERROR */
  read(records: readonly RecordRef[]): Promise<Buffer[]> {
    return readRecords(this.segments, this.flushes.batches, this.#options.checksum, records);
  }

  /** Whether all of a segment is on disk. */
  isWritten(number: number): boolean {
    return !this.flushes.batches.some(({ segment }) => segment === number);
  }

  /**
   * Visits the records of a written segment from an offset on (0: the first), up to the limits; payloads are good during the
   * call.
   * @returns where to go on; undefined at the end
   * @throws Failure STORE_DAMAGED, DISK_ERROR
   */
  async scan(number: number, from: number, limits: ScanLimits, visit: RecordVisitor): Promise<number | undefined> {
    const { salt, end } = this.segments.get(number);
    const start = Math.max(from, headerBytes);
    const until = Math.min(start + limits.maxBytes, end);
    const part = { salt, from: start, until, maxRecords: limits.maxRecords, end, checksum: this.#options.checksum };
    const { stoppedAt, isBad } = await this.segments.using(number, file =>
      walkSegment(file, part, (offset, payload) => visit(payload, positionOf(number, offset))),
    );
    if (isBad) throw this.segments.damaged(number, stoppedAt, 'a record that was good before is bad now');
    return stoppedAt < end ? stoppedAt : undefined;
  }

  /** Everything said is on disk afterwards. @throws Failure DISK_FULL, DISK_ERROR */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    try {
      await this.flushes.drain();
      // A flush of its own: it proves at the next opening that all before it was confirmed, so damage there is no torn tail.
      if (this.segments.newest) this.append([]);
      await this.flushes.drain();
    } finally {
      this.#isClosed = true;
      await this.segments.close();
    }
  }

  async #write(batch: Batch): Promise<void> {
    const segment = this.segments.get(batch.segment);
    await this.segments.using(batch.segment, async file => {
      if (!segment.isOnDisk) {
        await file.write(0, [encodeHeader(segment.salt)]);
        // Recovery relies on it: whatever else is in the file, the header was there first.
        await file.sync();
        await this.#disk.syncDir();
        segment.isOnDisk = true;
      }
      await file.write(batch.start, batch.buffers());
      await file.sync();
    });
  }
}
