import { AmqpError } from './error.ts';

/** Class basic is the only one with content; its basic.publish the only method of a client's. */
const publish = { classId: 60, methodId: 40 };

export interface ContentHeader {
  readonly classId: number;
  /** Octets of body to come, of however many frames; up to 2^64, so to be checked against a limit. */
  readonly bodySize: number;
  /** Flags and values as they came, unchecked (`scanProperties`): consumers get the same octets. */
  readonly properties: Buffer;
}

/**
 * A content header frame's payload (§4.2.6.1).
 * @throws AmqpError 505 if it is of another class than basic or has a weight, as RabbitMQ; 501 if it is too short
 */
export function decodeHeader(bytes: Buffer, start = 0, end = bytes.length): ContentHeader {
  if (end - start < 12) throw new AmqpError(501, 'a content header of less than 12 octets');
  const classId = bytes.readUInt16BE(start);
  const weight = bytes.readUInt16BE(start + 2);
  if (weight !== 0 || classId !== publish.classId) {
    const got = weight === 0 ? `one for class ${classId}` : 'non content header frame';
    throw new AmqpError(505, `expected content header for class ${publish.classId}, got ${got} instead`, publish);
  }
  const bodySize = bytes.readUInt32BE(start + 4) * 0x1_0000_0000 + bytes.readUInt32BE(start + 8);
  return { classId, bodySize, properties: bytes.subarray(start + 12, end) };
}
