import { isUtf8 } from 'node:buffer';
import { AmqpError } from './error.ts';
import { checkDepth } from './field-extent.ts';
import { type FieldArray, type FieldTable, type FieldValue, Typed } from './field-value.ts';
import { Reader } from './reader.ts';

/**
 * The octets that a decoded table or array was read from. What is decoded is frozen, so they stay true, and it is
 * encoded as it came: type letters, order and doubled names included.
 */
const origin = new WeakMap<FieldTable | FieldArray, Buffer>();

/** The octets that this very table or array was decoded from, if it was. */
export function originOf(value: FieldTable | FieldArray): Buffer | undefined {
  return origin.get(value);
}

export const emptyTable: FieldTable = Object.freeze(Object.create(null));

/**
 * The table whose fields, without the count in front, are those octets. It shares no memory with them, is frozen, and
 * so are the tables and arrays in it; to change one, copy it.
 * @throws AmqpError 502 if they are no field table, or one nested deeper than 32
 */
export function decodeTable(bytes: Buffer, start = 0, end = bytes.length): FieldTable {
  if (start === end) return emptyTable;
  return readTable(Buffer.from(bytes.subarray(start, end)), 1);
}

function readTable(bytes: Buffer, depth: number): FieldTable {
  checkDepth(depth);
  const reader = new Reader(bytes);
  const table: Record<string, FieldValue> = Object.create(null);
  while (reader.left > 0) {
    const length = reader.octet();
    const at = reader.skip(length);
    // Names that are no UTF-8 are taken, as RabbitMQ does.
    const name = bytes.toString('utf8', at, at + length);
    table[name] = readValue(reader, depth);
  }
  origin.set(table, bytes);
  return Object.freeze(table);
}

function readArray(bytes: Buffer, depth: number): FieldArray {
  checkDepth(depth);
  const reader = new Reader(bytes);
  const array: FieldValue[] = [];
  while (reader.left > 0) array.push(readValue(reader, depth));
  origin.set(array, bytes);
  return Object.freeze(array);
}

function readValue(reader: Reader, depth: number): FieldValue {
  const letter = String.fromCharCode(reader.octet());
  switch (letter) {
    case 'S': {
      const bytes = reader.longstr();
      return isUtf8(bytes) ? bytes.toString() : new Typed('S', bytes);
    }
    case 't':
      return reader.octet() !== 0;
    case 'b':
      return reader.bytes.readInt8(reader.skip(1));
    case 'B':
      return reader.octet();
    case 's':
      return reader.bytes.readInt16BE(reader.skip(2));
    case 'u':
      return reader.short();
    case 'I':
      return reader.bytes.readInt32BE(reader.skip(4));
    case 'i':
      return reader.long();
    case 'l':
    case 'L':
      return handy(reader.bytes.readBigInt64BE(reader.skip(8)));
    case 'f':
      return reader.bytes.readFloatBE(reader.skip(4));
    case 'd':
      return reader.bytes.readDoubleBE(reader.skip(8));
    case 'x':
      return reader.longstr();
    case 'V':
      return null;
    case 'F':
      return readTable(reader.longstr(), depth + 1);
    case 'A':
      return readArray(reader.longstr(), depth + 1);
    case 'T':
      return new Typed('T', handy(reader.bytes.readBigUInt64BE(reader.skip(8))));
    case 'D':
      return new Typed('D', { places: reader.octet(), digits: reader.long() });
    default:
      throw new AmqpError(502, `a field of unknown type ${letter.charCodeAt(0)}`);
  }
}

/** A number where that loses nothing. */
function handy(value: bigint): number | bigint {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}
