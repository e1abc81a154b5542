import { Failure } from '../../lib/failure.ts';
import { crc, decodeFrame, encodeFrame, frameBytes, markOf } from './frame.ts';

/** Counts up when the frames or the records in them change so that an older program would misread them. */
export const formatVersion = 1;

const magic = Buffer.from('WARRENLG', 'latin1');
const payloadBytes = 16;

/** The first record of each segment: magic, version u32, salt u32, framed with salt 0. */
export const headerBytes = frameBytes + payloadBytes;

export function encodeHeader(salt: number): Buffer {
  const header = Buffer.alloc(headerBytes);
  magic.copy(header, frameBytes);
  header.writeUInt32BE(formatVersion, frameBytes + 8);
  header.writeUInt32BE(salt, frameBytes + 12);
  const mark = markOf(0, 0, payloadBytes, 0);
  const checksum = crc(header.subarray(frameBytes), mark);
  encodeFrame(header, 0, { length: payloadBytes, batchStart: 0, mark, checksum });
  return header;
}

/**
 * @returns the salt; undefined if this is no whole header
 * @throws Failure STORE_VERSION when a newer program wrote it
 */
export function decodeHeader(header: Buffer, file: string): number | undefined {
  const frame = decodeFrame(header, 0, 0, 0);
  if (frame?.length !== payloadBytes || header.length < headerBytes) return undefined;
  const payload = header.subarray(frameBytes, headerBytes);
  if (crc(payload, frame.mark) !== frame.checksum || !payload.subarray(0, 8).equals(magic)) return undefined;
  const version = payload.readUInt32BE(8);
  if (version > formatVersion) {
    throw new Failure(
      'STORE_VERSION',
      `${file} has format ${version}, this program knows up to ${formatVersion}: start it with the newer Warren that wrote it`,
    );
  }
  return payload.readUInt32BE(12);
}
