import { decodeTable, encodeShortString, encodeTable, type Table } from './table.ts';

/** The 14 properties of class basic, in order of their flags from bit 15 down. */
export interface Properties {
  readonly contentType?: string;
  readonly contentEncoding?: string;
  readonly headers?: Table;
  readonly deliveryMode?: number;
  readonly priority?: number;
  readonly correlationId?: string;
  readonly replyTo?: string;
  readonly expiration?: string;
  readonly messageId?: string;
  /** Seconds since 1970, 64 bits. */
  readonly timestamp?: number;
  readonly type?: string;
  readonly userId?: string;
  readonly appId?: string;
  readonly clusterId?: string;
}

type Kind = 'shortstr' | 'table' | 'octet' | 'timestamp';

const order: readonly [keyof Properties, Kind][] = [
  ['contentType', 'shortstr'],
  ['contentEncoding', 'shortstr'],
  ['headers', 'table'],
  ['deliveryMode', 'octet'],
  ['priority', 'octet'],
  ['correlationId', 'shortstr'],
  ['replyTo', 'shortstr'],
  ['expiration', 'shortstr'],
  ['messageId', 'shortstr'],
  ['timestamp', 'timestamp'],
  ['type', 'shortstr'],
  ['userId', 'shortstr'],
  ['appId', 'shortstr'],
  ['clusterId', 'shortstr'],
];

/** Flags and values, as they follow the body size in a content header. */
export function encodeProperties(properties: Properties): Buffer {
  let flags = 0;
  const parts: Buffer[] = [];
  order.forEach(([name, kind], place) => {
    const value = properties[name];
    if (value === undefined) return;
    flags |= 1 << (15 - place);
    if (kind === 'shortstr') parts.push(encodeShortString(String(value)));
    else if (kind === 'octet') parts.push(Buffer.from([Number(value)]));
    else if (kind === 'table') parts.push(encodeTable(value as Table));
    else {
      const seconds = Buffer.alloc(8);
      seconds.writeBigUInt64BE(BigInt(Number(value)));
      parts.push(seconds);
    }
  });
  const head = Buffer.alloc(2);
  head.writeUInt16BE(flags);
  return Buffer.concat([head, ...parts]);
}

export function decodeProperties(bytes: Buffer): Properties {
  const flags = bytes.readUInt16BE(0);
  const properties: Record<string, string | number | Table> = {};
  let at = 2;
  const take = (size: number): Buffer => {
    at += size;
    return bytes.subarray(at - size, at);
  };
  order.forEach(([name, kind], place) => {
    if ((flags & (1 << (15 - place))) === 0) return;
    if (kind === 'shortstr') properties[name] = take(take(1).readUInt8()).toString();
    else if (kind === 'octet') properties[name] = take(1).readUInt8();
    else if (kind === 'table') properties[name] = decodeTable(take(take(4).readUInt32BE()));
    else properties[name] = Number(take(8).readBigUInt64BE());
  });
  return properties;
}

/** Payload of a content header frame of class basic. */
export function encodeHeader(bodySize: number | bigint, properties: Buffer, classId = 60): Buffer {
  const head = Buffer.alloc(12);
  head.writeUInt16BE(classId, 0);
  head.writeBigUInt64BE(BigInt(bodySize), 4);
  return Buffer.concat([head, properties]);
}
