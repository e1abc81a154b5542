import { isUtf8 } from 'node:buffer';
import { AmqpError } from './error.ts';

/**
 * Reads the primitive values of AMQP 0-9-1 §4.2 out of a part of a buffer, one after the other, never past its end.
 * What it returns as `Buffer` is a view of the same memory.
 * @throws AmqpError 502, or what `overrun` makes, where a value does not fit into what is left; 501 on a short string
 * that is not UTF-8
 */
export class Reader {
  readonly bytes: Buffer;
  readonly #end: number;
  readonly #overrun: () => AmqpError;
  #at: number;

  constructor(bytes: Buffer, start = 0, end = bytes.length, overrun = truncated) {
    this.bytes = bytes;
    this.#at = start;
    this.#end = end;
    this.#overrun = overrun;
  }

  /** Octets not yet read. */
  get left(): number {
    return this.#end - this.#at;
  }

  octet(): number {
    return this.bytes.readUInt8(this.skip(1));
  }

  short(): number {
    return this.bytes.readUInt16BE(this.skip(2));
  }

  long(): number {
    return this.bytes.readUInt32BE(this.skip(4));
  }

  /** Above 2^53 the nearest number there is: no delivery tag and no body is that big. */
  longlong(): number {
    const at = this.skip(8);
    return this.bytes.readUInt32BE(at) * 0x1_0000_0000 + this.bytes.readUInt32BE(at + 4);
  }

  /** Up to 255 octets of UTF-8 (§4.2.5.3). */
  shortstr(): string {
    const length = this.octet();
    const at = this.skip(length);
    return decodeText(this.bytes, at, at + length);
  }

  /** Any octets behind their 32-bit count (§4.2.5.3). */
  longstr(): Buffer {
    const length = this.long();
    const at = this.skip(length);
    return this.bytes.subarray(at, at + length);
  }

  /** Steps over so many octets. @returns where they began */
  skip(count: number): number {
    const at = this.#at;
    if (count > this.#end - at) throw this.#overrun();
    this.#at = at + count;
    return at;
  }
}

function truncated(): AmqpError {
  return new AmqpError(502, 'a value longer than what holds it');
}

/** The UTF-8 text of those octets. @throws AmqpError 501 if they are no UTF-8, as RabbitMQ */
export function decodeText(bytes: Buffer, start: number, end: number): string {
  const text = bytes.toString('utf8', start, end);
  // Octets that are no UTF-8 become U+FFFD, which may also have been sent: only then look closer.
  if (text.includes('\ufffd') && !isUtf8(bytes.subarray(start, end))) {
    throw new AmqpError(501, 'Malformed UTF-8 in shortstr');
  }
  return text;
}
