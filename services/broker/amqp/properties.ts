import { decodeTable } from './decode-table.ts';
import { writeTable } from './encode-table.ts';
import { AmqpError } from './error.ts';
import type { FieldTable } from './field-value.ts';
import { flagAt, flagsOf, type PropertyKind, place, propertyEnd, propertyLayout } from './property-layout.ts';
import { Reader } from './reader.ts';
import { Writer } from './writer.ts';

/** All properties of a message, §1.8 of the reference. */
export interface Properties {
  readonly contentType?: string;
  readonly contentEncoding?: string;
  readonly headers?: FieldTable;
  /** 1 transient, 2 persistent */
  readonly deliveryMode?: number;
  readonly priority?: number;
  readonly correlationId?: string;
  readonly replyTo?: string;
  /** Milliseconds in decimal digits. */
  readonly expiration?: string;
  readonly messageId?: string;
  /** Seconds since 1970. */
  readonly timestamp?: number;
  readonly type?: string;
  readonly userId?: string;
  readonly appId?: string;
  readonly clusterId?: string;
}

/** What a broker looks at in every message. */
export interface ScannedProperties {
  /** 0 if absent */
  readonly deliveryMode: number;
  /** 0 if absent */
  readonly priority: number;
  readonly replyTo: string | undefined;
  readonly expiration: string | undefined;
  readonly userId: string | undefined;
}

/**
 * Checks a property section and takes out what a broker needs. Headers are checked, not decoded.
 * @throws AmqpError 502 on a section that `decodeProperties` would refuse (RabbitMQ: 541)
 */
export function scanProperties(properties: Buffer): ScannedProperties {
  const flags = flagsOf(properties);
  let deliveryMode = 0;
  let priority = 0;
  let replyTo: string | undefined;
  let expiration: string | undefined;
  let userId: string | undefined;
  let at = 2;
  for (let index = 0; index < propertyLayout.length; index += 1) {
    if ((flags & flagAt(index)) === 0) continue;
    const start = at;
    at = propertyEnd(properties, start, kinds[index] as PropertyKind);
    if (at > properties.length) break;
    if (index === place.deliveryMode) deliveryMode = properties[start] as number;
    else if (index === place.priority) priority = properties[start] as number;
    else if (index === place.replyTo) replyTo = properties.toString('utf8', start + 1, at);
    else if (index === place.expiration) expiration = properties.toString('utf8', start + 1, at);
    else if (index === place.userId) userId = properties.toString('utf8', start + 1, at);
  }
  if (at !== properties.length) throw malformed();
  return { deliveryMode, priority, replyTo, expiration, userId };
}

const kinds = propertyLayout.map(([, kind]) => kind);

/** All properties. Text that is no UTF-8 is taken, as by RabbitMQ, and read as far as it goes. @throws AmqpError 502 */
export function decodeProperties(properties: Buffer): Properties {
  const flags = flagsOf(properties);
  const reader = new Reader(properties, 2);
  const decoded: Record<string, unknown> = {};
  propertyLayout.forEach(([name, kind], index) => {
    if ((flags & flagAt(index)) !== 0) decoded[name] = readProperty(reader, kind);
  });
  if (reader.left > 0) throw malformed();
  return decoded;
}

function readProperty(reader: Reader, kind: PropertyKind): unknown {
  switch (kind) {
    case 'table':
      return decodeTable(reader.longstr());
    case 'shortstr': {
      const length = reader.octet();
      const at = reader.skip(length);
      return reader.bytes.toString('utf8', at, at + length);
    }
    default:
      return reader[kind]();
  }
}

/** A property section. @throws AmqpError 541 on a value that does not fit */
export function encodeProperties(properties: Properties): Buffer {
  const present = propertyLayout.map(([name]) => properties[name] !== undefined);
  const writer = new Writer();
  writer.short(present.reduce((flags, isPresent, index) => (isPresent ? flags | flagAt(index) : flags), 0));
  for (const [name, kind] of propertyLayout) {
    const value = properties[name];
    if (value !== undefined) writeProperty(writer, kind, value);
  }
  return writer.take();
}

function writeProperty(writer: Writer, kind: PropertyKind, value: string | number | FieldTable): void {
  switch (kind) {
    case 'table':
      return writeTable(writer, value as FieldTable);
    case 'shortstr':
      return writer.shortstr(value as string);
    default:
      return writer[kind](value as number);
  }
}

function malformed(): AmqpError {
  return new AmqpError(502, 'a content header whose flags and properties do not agree');
}
