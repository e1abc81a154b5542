import { writeTable } from './encode-table.ts';
import type { FieldTable } from './field-value.ts';
import { frameEnd, frameType } from './frame.ts';
import { type Method, specOf } from './method-spec.ts';
import type { FieldKind } from './method-table.ts';
import { Writer, writeLonglong } from './writer.ts';

/** A method frame's payload. @throws AmqpError 541 on arguments that do not fit their types */
export function encodeMethod(method: Method): Buffer {
  const writer = new Writer();
  writeMethod(writer, method);
  return writer.take();
}

/** A whole method frame (§2.3.5.1). @throws AmqpError 541 on arguments that do not fit their types */
export function methodFrame(channel: number, method: Method): Buffer {
  const writer = new Writer();
  writer.octet(frameType.method);
  writer.short(channel);
  writer.counted(() => writeMethod(writer, method));
  writer.octet(frameEnd);
  return writer.take();
}

function writeMethod(writer: Writer, method: Method): void {
  const spec = specOf(method.name);
  // The row says which, argument by argument.
  const values = method as unknown as Readonly<Record<string, unknown>>;
  writer.short(spec.classId);
  writer.short(spec.methodId);
  let bits = 0;
  let bit = 0;
  for (const { name, kind, isReserved } of spec.arguments) {
    const value = isReserved ? nothing[kind] : values[name];
    if (kind === 'bit') {
      if (value === true) bits |= 1 << bit;
      bit += 1;
      continue;
    }
    if (bit > 0) writer.octet(bits);
    bits = 0;
    bit = 0;
    writeArgument(writer, kind, value);
  }
  if (bit > 0) writer.octet(bits);
}

/** Reserved arguments are sent empty. */
const nothing = {
  octet: 0,
  short: 0,
  long: 0,
  longlong: 0,
  shortstr: '',
  longstr: Buffer.alloc(0),
  bit: false,
  table: {},
};

function writeArgument(writer: Writer, kind: Exclude<FieldKind, 'bit'>, value: unknown): void {
  switch (kind) {
    case 'shortstr':
      return writer.shortstr(value as string);
    case 'longstr':
      return writer.longstr(value as Buffer);
    case 'table':
      return writeTable(writer, value as FieldTable);
    default:
      return writer[kind](value as number);
  }
}

/** The frame of basic.ack (§1.8.3.13), by hand: confirms are as many as messages. */
export function ackFrame(channel: number, deliveryTag: number, multiple: boolean): Buffer {
  return settleFrame(channel, 80, deliveryTag, multiple ? 1 : 0);
}

/** The frame of basic.nack, by which a server tells a publisher that messages are lost; `requeue` means nothing then. */
export function nackFrame(channel: number, deliveryTag: number, multiple: boolean): Buffer {
  return settleFrame(channel, 120, deliveryTag, multiple ? 1 : 0);
}

function settleFrame(channel: number, methodId: number, deliveryTag: number, bits: number): Buffer {
  const frame = Buffer.allocUnsafe(21);
  frame[0] = frameType.method;
  frame.writeUInt16BE(channel, 1);
  frame.writeUInt32BE(13, 3);
  frame.writeUInt16BE(60, 7);
  frame.writeUInt16BE(methodId, 9);
  writeLonglong(frame, 11, deliveryTag);
  frame[19] = bits;
  frame[20] = frameEnd;
  return frame;
}
