import { AmqpError } from './error.ts';

/**
 * Writes the primitive values of AMQP 0-9-1 §4.2 into a buffer that grows.
 * @throws AmqpError 541 on a value that does not fit its type: whoever wrote it is wrong, not the peer
 */
export class Writer {
  #bytes: Buffer;
  #at = 0;

  constructor(size = 128) {
    this.#bytes = Buffer.allocUnsafe(size);
  }

  /** What was written. The writer is done then. */
  take(): Buffer {
    return this.#bytes.subarray(0, this.#at);
  }

  octet(value: number): void {
    checkRange(value, 0, 0xff);
    const at = this.#claim(1);
    this.#bytes.writeUInt8(value, at);
  }

  short(value: number): void {
    checkRange(value, 0, 0xffff);
    const at = this.#claim(2);
    this.#bytes.writeUInt16BE(value, at);
  }

  long(value: number): void {
    checkRange(value, 0, 0xffff_ffff);
    const at = this.#claim(4);
    this.#bytes.writeUInt32BE(value, at);
  }

  longlong(value: number): void {
    checkRange(value, 0, Number.MAX_SAFE_INTEGER);
    const at = this.#claim(8);
    writeLonglong(this.#bytes, at, value);
  }

  shortstr(text: string): void {
    const length = Buffer.byteLength(text);
    if (length > 0xff) throw new AmqpError(541, `a short string of ${length} octets`);
    this.octet(length);
    const at = this.#claim(length);
    this.#bytes.write(text, at, length);
  }

  longstr(bytes: Uint8Array): void {
    this.long(bytes.length);
    this.raw(bytes);
  }

  /** A long string of text. */
  longtext(text: string): void {
    const length = Buffer.byteLength(text);
    this.long(length);
    const at = this.#claim(length);
    this.#bytes.write(text, at, length);
  }

  /** Octets as they are. */
  raw(bytes: Uint8Array): void {
    const at = this.#claim(bytes.length);
    this.#bytes.set(bytes, at);
  }

  double(value: number): void {
    const at = this.#claim(8);
    this.#bytes.writeDoubleBE(value, at);
  }

  float(value: number): void {
    const at = this.#claim(4);
    this.#bytes.writeFloatBE(value, at);
  }

  signed(value: number, octets: 1 | 2 | 4): void {
    const half = 2 ** (octets * 8 - 1);
    checkRange(value, -half, half - 1);
    const at = this.#claim(octets);
    this.#bytes.writeIntBE(value, at, octets);
  }

  /** 64 bits, two's complement. */
  int64(value: number | bigint): void {
    const big = toBigInt(value);
    if (BigInt.asIntN(64, big) !== big) throw unfit(value);
    const at = this.#claim(8);
    this.#bytes.writeBigInt64BE(big, at);
  }

  uint64(value: number | bigint): void {
    const big = toBigInt(value);
    if (BigInt.asUintN(64, big) !== big) throw unfit(value);
    const at = this.#claim(8);
    this.#bytes.writeBigUInt64BE(big, at);
  }

  /** Runs `write` and puts the count of what it wrote in front, 32 bits. */
  counted(write: () => void): void {
    const at = this.#claim(4);
    write();
    this.#bytes.writeUInt32BE(this.#at - at - 4, at);
  }

  #claim(count: number): number {
    const at = this.#at;
    this.#at = at + count;
    if (this.#at > this.#bytes.length) {
      const larger = Buffer.allocUnsafe(Math.max(this.#at, this.#bytes.length * 2));
      this.#bytes.copy(larger, 0, 0, at);
      this.#bytes = larger;
    }
    return at;
  }
}

/** An unsigned 64-bit number of up to 53 bits. */
export function writeLonglong(bytes: Buffer, at: number, value: number): void {
  bytes.writeUInt32BE(Math.floor(value / 0x1_0000_0000), at);
  bytes.writeUInt32BE(value % 0x1_0000_0000, at + 4);
}

function checkRange(value: number, from: number, to: number): void {
  if (!Number.isInteger(value) || value < from || value > to) throw unfit(value);
}

function toBigInt(value: number | bigint): bigint {
  if (typeof value === 'number' && !Number.isInteger(value)) throw unfit(value);
  return BigInt(value);
}

function unfit(value: number | bigint): AmqpError {
  return new AmqpError(541, `${value} does not fit its type`);
}
