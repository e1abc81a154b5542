/**
 * Field tables as RabbitMQ writes them (https://www.rabbitmq.com/amqp-0-9-1-errata#section_3). A plain value gets the
 * usual type; `typed` chooses one, so that a test can send every type there is.
 */
export type TableValue = string | number | bigint | boolean | null | Buffer | Typed | readonly TableValue[] | Table;

export interface Table {
  readonly [name: string]: TableValue;
}

export class Typed {
  readonly tag: string;
  readonly value: TableValue;

  constructor(tag: string, value: TableValue) {
    this.tag = tag;
    this.value = value;
  }
}

/** @param tag one of `t b B s u I i l f d D S A T F V x`; a decimal's value is its five bytes */
export function typed(tag: string, value: TableValue): Typed {
  return new Typed(tag, value);
}

export function encodeTable(table: Table): Buffer {
  const parts: Buffer[] = [];
  for (const [name, value] of Object.entries(table)) parts.push(encodeShortString(name), encodeValue(value));
  return encodeLongString(Buffer.concat(parts));
}

export function encodeShortString(text: string): Buffer {
  const bytes = Buffer.from(text);
  return Buffer.concat([Buffer.from([bytes.length]), bytes]);
}

export function encodeLongString(bytes: Buffer): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes.length);
  return Buffer.concat([length, bytes]);
}

const numbers: Record<string, { size: number; write(to: Buffer, value: number): void; read(from: Buffer): number }> = {
  b: { size: 1, write: (to, value) => to.writeInt8(value), read: from => from.readInt8() },
  B: { size: 1, write: (to, value) => to.writeUInt8(value), read: from => from.readUInt8() },
  s: { size: 2, write: (to, value) => to.writeInt16BE(value), read: from => from.readInt16BE() },
  u: { size: 2, write: (to, value) => to.writeUInt16BE(value), read: from => from.readUInt16BE() },
  I: { size: 4, write: (to, value) => to.writeInt32BE(value), read: from => from.readInt32BE() },
  i: { size: 4, write: (to, value) => to.writeUInt32BE(value), read: from => from.readUInt32BE() },
  f: { size: 4, write: (to, value) => to.writeFloatBE(value), read: from => from.readFloatBE() },
  d: { size: 8, write: (to, value) => to.writeDoubleBE(value), read: from => from.readDoubleBE() },
  l: { size: 8, write: (to, value) => to.writeBigInt64BE(BigInt(value)), read: from => Number(from.readBigInt64BE()) },
  T: {
    size: 8,
    write: (to, value) => to.writeBigUInt64BE(BigInt(value)),
    read: from => Number(from.readBigUInt64BE()),
  },
};

function encodeValue(value: TableValue): Buffer {
  if (value instanceof Typed) return encodeTyped(value.tag, value.value);
  if (typeof value === 'string') return encodeTyped('S', value);
  if (typeof value === 'boolean') return encodeTyped('t', value);
  if (typeof value === 'bigint') return encodeTyped('l', value);
  if (typeof value === 'number') {
    if (!Number.isInteger(value)) return encodeTyped('d', value);
    return encodeTyped(Math.abs(value) < 2 ** 31 ? 'I' : 'l', value);
  }
  if (value === null) return encodeTyped('V', value);
  if (Buffer.isBuffer(value)) return encodeTyped('x', value);
  return encodeTyped(Array.isArray(value) ? 'A' : 'F', value);
}

function encodeTyped(tag: string, value: TableValue): Buffer {
  const body = ((): Buffer => {
    const number = numbers[tag];
    if (number) {
      const bytes = Buffer.alloc(number.size);
      number.write(bytes, Number(value));
      return bytes;
    }
    if (tag === 'V') return Buffer.alloc(0);
    if (tag === 't') return Buffer.from([value ? 1 : 0]);
    if (tag === 'D') return value as Buffer;
    if (tag === 'S' || tag === 'x') return encodeLongString(Buffer.from(value as string | Buffer));
    if (tag === 'A') return encodeLongString(Buffer.concat((value as TableValue[]).map(encodeValue)));
    if (tag === 'F') return encodeTable(value as Table);
    throw new Error(`no field type ${tag}`);
  })();
  return Buffer.concat([Buffer.from(tag), body]);
}

/** Reads what `encodeTable` writes; types that plain values have come back plain, `x` as a Buffer, `T` as a number. */
export function decodeTable(bytes: Buffer): Table {
  const table: Record<string, TableValue> = {};
  let at = 0;
  while (at < bytes.length) {
    const length = bytes.readUInt8(at);
    const name = bytes.toString('utf8', at + 1, at + 1 + length);
    const [value, next] = decodeValue(bytes, at + 1 + length);
    table[name] = value;
    at = next;
  }
  return table;
}

function decodeValue(bytes: Buffer, at: number): [TableValue, number] {
  const tag = String.fromCharCode(bytes.readUInt8(at));
  const start = at + 1;
  const number = numbers[tag];
  if (number) return [number.read(bytes.subarray(start)), start + number.size];
  if (tag === 'V') return [null, start];
  if (tag === 't') return [bytes.readUInt8(start) !== 0, start + 1];
  if (tag === 'D') return [bytes.subarray(start, start + 5), start + 5];
  const end = start + 4 + bytes.readUInt32BE(start);
  const body = bytes.subarray(start + 4, end);
  if (tag === 'S') return [body.toString('utf8'), end];
  if (tag === 'x') return [body, end];
  if (tag === 'F') return [decodeTable(body), end];
  if (tag !== 'A') throw new Error(`no field type ${tag}`);
  const values: TableValue[] = [];
  for (let next = 0; next < body.length; ) {
    const [value, after] = decodeValue(body, next);
    values.push(value);
    next = after;
  }
  return [values, end];
}
