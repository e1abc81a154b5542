import { originOf } from './decode-table.ts';
import { AmqpError } from './error.ts';
import { maxDepth } from './field-extent.ts';
import { type FieldArray, type FieldTable, type FieldValue, Typed, type TypeLetter } from './field-value.ts';
import { Writer } from './writer.ts';

/**
 * The table as it stands on the wire, its 32-bit count in front. A decoded one, or one inside another, has the octets it
 * came with. Elsewhere a number goes out as I, l or d, the first of them that holds it without loss, and a bigint as l.
 * @throws AmqpError 541 on a value that no type holds, and on nesting deeper than 32
 */
export function encodeTable(table: FieldTable): Buffer {
  const writer = new Writer();
  writeTable(writer, table);
  return writer.take();
}

/** `encodeTable` into a writer. */
export function writeTable(writer: Writer, table: FieldTable, depth = 1): void {
  const bytes = originOf(table);
  if (bytes !== undefined) return writer.longstr(bytes);
  checkDepth(depth);
  writer.counted(() => {
    for (const [name, value] of Object.entries(table)) {
      writer.shortstr(name);
      writeValue(writer, value, depth);
    }
  });
}

function writeArray(writer: Writer, array: FieldArray, depth: number): void {
  const bytes = originOf(array);
  if (bytes !== undefined) return writer.longstr(bytes);
  checkDepth(depth);
  writer.counted(() => {
    for (const value of array) writeValue(writer, value, depth);
  });
}

function writeValue(writer: Writer, value: FieldValue, depth: number): void {
  if (typeof value === 'string') {
    writeLetter(writer, 'S');
    writer.longtext(value);
  } else if (typeof value === 'number') {
    writeTyped(writer, new Typed(letterOf(value), value));
  } else if (typeof value === 'bigint') {
    writeTyped(writer, new Typed('l', value));
  } else if (typeof value === 'boolean') {
    writeLetter(writer, 't');
    writer.octet(value ? 1 : 0);
  } else if (value === null) {
    writeLetter(writer, 'V');
  } else if (value instanceof Typed) {
    writeTyped(writer, value);
  } else if (value instanceof Uint8Array) {
    writeLetter(writer, 'x');
    writer.longstr(value);
  } else if (isArray(value)) {
    writeLetter(writer, 'A');
    writeArray(writer, value, depth + 1);
  } else {
    writeLetter(writer, 'F');
    writeTable(writer, value, depth + 1);
  }
}

function letterOf(value: number): 'I' | 'l' | 'd' {
  if ((value | 0) === value && !Object.is(value, -0)) return 'I';
  return Number.isSafeInteger(value) && value !== 0 ? 'l' : 'd';
}

function writeTyped(writer: Writer, { letter, value }: Typed): void {
  writeLetter(writer, letter);
  if (typeof value === 'bigint' || typeof value === 'number') return writeNumber(writer, letter, value);
  if (letter === 'S' && value instanceof Uint8Array) return writer.longstr(value);
  if (letter === 'D' && 'places' in value) {
    writer.octet(value.places);
    return writer.long(value.digits);
  }
  throw new AmqpError(541, `a field of type ${letter} without its value`);
}

function writeNumber(writer: Writer, letter: TypeLetter, value: number | bigint): void {
  if (letter === 'l' || letter === 'L') return writer.int64(value);
  if (letter === 'T') return writer.uint64(value);
  const number = Number(value);
  switch (letter) {
    case 'b':
      return writer.signed(number, 1);
    case 'B':
      return writer.octet(number);
    case 's':
      return writer.signed(number, 2);
    case 'u':
      return writer.short(number);
    case 'I':
      return writer.signed(number, 4);
    case 'i':
      return writer.long(number);
    case 'f':
      return writer.float(number);
    case 'd':
      return writer.double(number);
    default:
      throw new AmqpError(541, `a field of type ${letter} without its value`);
  }
}

function writeLetter(writer: Writer, letter: string): void {
  writer.octet(letter.charCodeAt(0));
}

function checkDepth(depth: number): void {
  if (depth > maxDepth) throw new AmqpError(541, `a field table nested deeper than ${maxDepth}`);
}

/** `Array.isArray` does not narrow a readonly array. */
function isArray(value: FieldArray | FieldTable): value is FieldArray {
  return Array.isArray(value);
}
