import { type FieldKind, type MethodName, methodNamed, methodNumbered } from './methods.ts';
import { decodeTable, encodeLongString, encodeShortString, encodeTable, type Table } from './table.ts';

export type FieldValue = string | number | bigint | boolean | Buffer | Table;
export type Fields = Readonly<Record<string, FieldValue>>;

export const frameEnd = 0xce;
export const frameType = { method: 1, header: 2, body: 3, heartbeat: 8 } as const;

/** Type, channel and size before the payload, the end octet after it. */
export const frameOverhead = 8;

export function encodeFrame(type: number, channel: number, payload: Buffer): Buffer {
  const frame = Buffer.alloc(payload.length + frameOverhead);
  frame.writeUInt8(type, 0);
  frame.writeUInt16BE(channel, 1);
  frame.writeUInt32BE(payload.length, 3);
  payload.copy(frame, 7);
  frame.writeUInt8(frameEnd, payload.length + 7);
  return frame;
}

/** Payload of a method frame. Arguments not given are 0, '', false or an empty table. */
export function encodeMethod(name: MethodName, given: Fields = {}): Buffer {
  const method = methodNamed(name);
  const unknown = Object.keys(given).find(field => !method.fields.some(known => known.name === field));
  if (unknown !== undefined) throw new Error(`${name} has no argument ${unknown}`);
  const ids = Buffer.alloc(4);
  ids.writeUInt16BE(method.classId, 0);
  ids.writeUInt16BE(method.methodId, 2);
  const parts: Buffer[] = [ids];
  let bits: number[] = [];
  const flush = (): void => {
    if (bits.length > 0) parts.push(Buffer.from([bits.reduce((byte, bit, place) => byte | (bit << place), 0)]));
    bits = [];
  };
  for (const field of method.fields) {
    const value = given[field.name];
    if (field.kind === 'bit') {
      bits.push(value ? 1 : 0);
      continue;
    }
    flush();
    parts.push(encodeField(field.kind, value));
  }
  flush();
  return Buffer.concat(parts);
}

function encodeField(kind: FieldKind, value: FieldValue | undefined): Buffer {
  if (kind === 'shortstr') return encodeShortString(String(value ?? ''));
  if (kind === 'longstr') return encodeLongString(Buffer.from((value ?? '') as string | Buffer));
  if (kind === 'table') return Buffer.isBuffer(value) ? value : encodeTable((value ?? {}) as Table);
  const size = { octet: 1, short: 2, long: 4, longlong: 8, bit: 0 }[kind];
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt((value ?? 0) as number | bigint));
  return bytes.subarray(8 - size);
}

export interface Decoded {
  /** `10.999` when no such method is known. */
  readonly name: MethodName | `${number}.${number}`;
  readonly fields: Readonly<Record<string, FieldValue>>;
}

export function decodeMethod(payload: Buffer): Decoded {
  const classId = payload.readUInt16BE(0);
  const methodId = payload.readUInt16BE(2);
  const method = methodNumbered(classId, methodId);
  if (!method) return { name: `${classId}.${methodId}`, fields: {} };
  const fields: Record<string, FieldValue> = {};
  let at = 4;
  let bit = 0;
  const take = (size: number): Buffer => {
    const bytes = payload.subarray(at, at + size);
    if (bytes.length < size) throw new Error(`${method.name} is cut short`);
    at += size;
    return bytes;
  };
  for (const { kind, name } of method.fields) {
    if (kind === 'bit') {
      if (bit === 0) take(1);
      fields[name] = ((payload[at - 1] ?? 0) & (1 << bit)) !== 0;
      bit = (bit + 1) % 8;
      continue;
    }
    bit = 0;
    if (kind === 'shortstr') fields[name] = take(take(1).readUInt8()).toString();
    else if (kind === 'longstr') fields[name] = take(take(4).readUInt32BE()).toString();
    else if (kind === 'table') fields[name] = decodeTable(take(take(4).readUInt32BE()));
    else if (kind === 'longlong') fields[name] = Number(take(8).readBigUInt64BE());
    else
      fields[name] = take({ octet: 1, short: 2, long: 4 }[kind]).readUIntBE(0, { octet: 1, short: 2, long: 4 }[kind]);
  }
  if (at < payload.length) throw new Error(`${method.name} has ${payload.length - at} bytes too many`);
  return { name: method.name, fields };
}
