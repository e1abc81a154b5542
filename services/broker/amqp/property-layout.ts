import { AmqpError } from './error.ts';
import { checkTable } from './field-extent.ts';

/**
 * The properties of class basic, in the order of their flags from bit 15 down and of their values (§4.2.6.1). The last,
 * cluster-id, is reserved.
 */
export const propertyLayout = [
  ['contentType', 'shortstr'],
  ['contentEncoding', 'shortstr'],
  ['headers', 'table'],
  ['deliveryMode', 'octet'],
  ['priority', 'octet'],
  ['correlationId', 'shortstr'],
  ['replyTo', 'shortstr'],
  ['expiration', 'shortstr'],
  ['messageId', 'shortstr'],
  ['timestamp', 'longlong'],
  ['type', 'shortstr'],
  ['userId', 'shortstr'],
  ['appId', 'shortstr'],
  ['clusterId', 'shortstr'],
] as const;

export type PropertyKind = (typeof propertyLayout)[number][1];

/** Places in the layout. */
export const place = { headers: 2, deliveryMode: 3, priority: 4, replyTo: 6, expiration: 7, userId: 11 } as const;

/** More flags follow: there are none in class basic. */
const continued = 1;

/** The flag of the property at that place. */
export function flagAt(index: number): number {
  return 0x8000 >> index;
}

/** The flags that a property section begins with. @throws AmqpError 502 if it is too short, or says that more follow */
export function flagsOf(properties: Buffer): number {
  if (properties.length < 2) throw new AmqpError(502, 'a content header without property flags');
  const flags = properties.readUInt16BE(0);
  if ((flags & continued) !== 0) throw new AmqpError(502, 'a content header with more flags than class basic has');
  return flags;
}

/**
 * Where the value that begins at `at` ends, which may be behind the section's end.
 * @throws AmqpError 502 on a headers table that `decodeTable` would refuse
 */
export function propertyEnd(properties: Buffer, at: number, kind: PropertyKind): number {
  switch (kind) {
    case 'octet':
      return at + 1;
    case 'longlong':
      return at + 8;
    case 'shortstr':
      return at + 1 + (properties[at] ?? 0);
    case 'table': {
      const start = at + 4;
      if (start > properties.length) return start;
      const end = start + properties.readUInt32BE(at);
      if (end <= properties.length) checkTable(properties, start, end);
      return end;
    }
  }
}
