import { decodeTable, emptyTable } from './decode-table.ts';
import { encodeTable } from './encode-table.ts';
import { AmqpError } from './error.ts';
import { fieldEnd } from './field-extent.ts';
import type { FieldTable } from './field-value.ts';
import { flagAt, flagsOf, place, propertyEnd, propertyLayout } from './property-layout.ts';

/** The headers, or none. @throws AmqpError 502 */
export function headersOf(properties: Buffer): FieldTable {
  const { start, end } = locate(properties, place.headers);
  return start === end ? emptyTable : decodeTable(properties, start + 4, end);
}

/**
 * The section with these headers added, or put in the place of those of the same name, and others dropped. Everything
 * else stays as it is, octet by octet.
 * @throws AmqpError 502 on a malformed section, 541 on headers that cannot be encoded
 */
export function withHeaders(properties: Buffer, add: FieldTable, drop: readonly string[] = []): Buffer {
  const { start, end } = locate(properties, place.headers);
  if (start === end && Object.keys(add).length === 0) return properties;
  const kept: Buffer[] = [Buffer.alloc(4)];
  for (let at = start + 4; at < end; ) {
    const next = fieldEnd(properties, at, end);
    const name = properties.toString('utf8', at + 1, at + 1 + (properties[at] as number));
    if (!Object.hasOwn(add, name) && !drop.includes(name)) kept.push(properties.subarray(at, next));
    at = next;
  }
  const headers = Buffer.concat([...kept, encodeTable(add).subarray(4)]);
  headers.writeUInt32BE(headers.length - 4);
  return replace(properties, place.headers, headers);
}

/** The section with another reply-to. @throws AmqpError 502 */
export function withReplyTo(properties: Buffer, replyTo: string): Buffer {
  const text = Buffer.from(replyTo);
  if (text.length > 0xff) throw new AmqpError(541, `a reply-to of ${text.length} octets`);
  return replace(properties, place.replyTo, Buffer.concat([Buffer.of(text.length), text]));
}

/** The section without its expiration, as a dead-lettered message has it. @throws AmqpError 502 */
export function withoutExpiration(properties: Buffer): Buffer {
  return replace(properties, place.expiration, undefined);
}

/** The section with that value at that place of the layout, or none. */
function replace(properties: Buffer, index: number, value: Buffer | undefined): Buffer {
  const { start, end } = locate(properties, index);
  const edited = Buffer.concat([properties.subarray(0, start), value ?? Buffer.alloc(0), properties.subarray(end)]);
  const flags = flagsOf(properties);
  edited.writeUInt16BE(value === undefined ? flags & ~flagAt(index) : flags | flagAt(index));
  return edited;
}

/** Where the value at that place is, or, `start` being `end`, would be. */
function locate(properties: Buffer, index: number): { start: number; end: number } {
  const flags = flagsOf(properties);
  let start = 2;
  let end = 2;
  for (const [at, [, kind]] of propertyLayout.slice(0, index + 1).entries()) {
    start = end;
    if ((flags & flagAt(at)) !== 0) end = propertyEnd(properties, start, kind);
    if (end > properties.length) throw new AmqpError(502, 'a content header whose flags and properties do not agree');
  }
  return { start, end };
}
