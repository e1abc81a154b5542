import { crc32 } from 'node:zlib';

/**
 * How a record stands in a segment, numbers big-endian:
 *
 *     length u32 | batchStart u32 | mark u32 | checksum u32 | payload
 *
 * `batchStart` is the offset in the segment where the flush began that the record went out with. A flush begins only when
 * the one before is on disk, so a record that is there proves that everything before its `batchStart` once was: that is how
 * recovery tells a torn tail (never confirmed, cut) from damage to confirmed data (an error).
 *
 * `mark` is a hash of the three numbers that place the record, keyed with the segment's random salt. So a frame is known by
 * its first bytes, and no publisher can make a message that looks like one. `checksum` is the CRC-32 of the payload, begun
 * with the mark.
 */
export const frameBytes = 16;

/** Bytes of payload, seed → unsigned 32 bits. */
export type Checksum = (payload: Buffer, seed: number) => number;
export const crc: Checksum = crc32;

/** Where a record is: the segment's number times 2^26, plus the offset of its frame. */
export type Position = number;

/** Records begin before it, so numbers up to 2^53 have room for 2^27 segments in the life of a store: petabytes. */
export const maxSegmentBytes = 2 ** 26;

const offsets = maxSegmentBytes;
export const positionOf = (segment: number, offset: number): Position => segment * offsets + offset;
export const segmentOf = (position: Position): number => Math.floor(position / offsets);
export const offsetOf = (position: Position): number => position % offsets;

export interface Frame {
  readonly length: number;
  readonly batchStart: number;
  readonly mark: number;
  readonly checksum: number;
}

export function markOf(salt: number, offset: number, length: number, batchStart: number): number {
  let hash = mix(salt ^ length);
  hash = mix(hash ^ batchStart);
  hash = mix(hash ^ offset);
  return (hash ^ salt) >>> 0;
}

/** A bijection of 32 bits in which every bit of the result depends on every bit given (lowbias32, C. Wellons 2018). */
function mix(bits: number): number {
  let mixed = Math.imul(bits ^ (bits >>> 16), 0x7feb352d);
  mixed = Math.imul(mixed ^ (mixed >>> 15), 0x846ca68b);
  return (mixed ^ (mixed >>> 16)) >>> 0;
}

export function encodeFrame(target: Buffer, at: number, frame: Frame): void {
  writeU32(target, at, frame.length);
  writeU32(target, at + 4, frame.batchStart);
  writeU32(target, at + 8, frame.mark);
  writeU32(target, at + 12, frame.checksum);
}

/**
 * The frame that stands `at` bytes into `source`, which is `offset` in its segment.
 * @returns undefined if there is none
 */
export function decodeFrame(source: Buffer, at: number, salt: number, offset: number): Frame | undefined {
  if (at + frameBytes > source.length) return undefined;
  const batchStart = source.readUInt32BE(at + 4);
  if (batchStart > offset) return undefined;
  const length = source.readUInt32BE(at);
  const mark = source.readUInt32BE(at + 8);
  if (markOf(salt, offset, length, batchStart) !== mark) return undefined;
  return { length, batchStart, mark, checksum: source.readUInt32BE(at + 12) };
}

function writeU32(target: Buffer, at: number, value: number): void {
  target[at] = value >>> 24;
  target[at + 1] = value >>> 16;
  target[at + 2] = value >>> 8;
  target[at + 3] = value;
}
