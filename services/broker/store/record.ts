import { Failure } from '../../lib/failure.ts';
import { partsOf } from '../amqp/body.ts';
import type { Definition, MessageToStore, StoredMessage } from './ledger.ts';

/**
 * The records of the ledger. Numbers are big-endian; `queue` is a number that is given to each queue when it is made and
 * never again, so that nothing of a deleted queue can reach a later one of the same name.
 *
 *     1 exchange          definition (JSON)
 *     2 exchange deleted  name
 *     3 queue             queue u32, definition (JSON)
 *     4 queue deleted     queue u32
 *     5 binding           queue u32, [exchange, key] (JSON)
 *     6 binding deleted   queue u32, [exchange, key] (JSON)
 *     7 message           queue u32, index u48, message
 *     8 settled           queue u32, index u48
 *     9 delivery count    queue u32, index u48, count u32
 *    10 stream entry      queue u32, offset u48, timestamp f64, message
 *    11 stream start      queue u32, first offset u48
 *
 *     message: expires at f64 (NaN: never), length of exchange u8, of key u8, of properties u32, then these, then the body
 */
export const recordType = {
  exchange: 1,
  exchangeDeleted: 2,
  queue: 3,
  queueDeleted: 4,
  binding: 5,
  bindingDeleted: 6,
  message: 7,
  settled: 8,
  deliveryCount: 9,
  streamEntry: 10,
  streamStart: 11,
} as const;

const shortBytes = 255;
/** type, queue, index, timestamp, expiry, three lengths, two short strings */
const maxHeadBytes = 1 + 4 + 6 + 8 + 8 + 6 + 2 * shortBytes;
const indexAt = 5;
const afterIndex = 11;

export function encodeExchange(definition: Definition): Buffer[] {
  return [Buffer.from([recordType.exchange]), Buffer.from(JSON.stringify(definition))];
}

export function encodeExchangeDeleted(name: string): Buffer[] {
  return [Buffer.from([recordType.exchangeDeleted]), Buffer.from(name)];
}

export function encodeQueue(queue: number, definition: Definition): Buffer[] {
  return [queueHead(recordType.queue, queue), Buffer.from(JSON.stringify(definition))];
}

export function encodeQueueDeleted(queue: number): Buffer[] {
  return [queueHead(recordType.queueDeleted, queue)];
}

export function encodeBinding(queue: number, exchange: string, key: string, isDeleted: boolean): Buffer[] {
  const type = isDeleted ? recordType.bindingDeleted : recordType.binding;
  return [queueHead(type, queue), Buffer.from(JSON.stringify([exchange, key]))];
}

function queueHead(type: number, queue: number): Buffer {
  const head = Buffer.allocUnsafe(indexAt);
  head[0] = type;
  head.writeUInt32BE(queue, 1);
  return head;
}

/** Encodes what is said often into one buffer, used again by the next call: its parts must be copied before that. */
export class RecordEncoder {
  readonly #head = Buffer.alloc(maxHeadBytes);

  message(queue: number, index: number, message: MessageToStore): Buffer[] {
    this.#indexed(recordType.message, queue, index);
    return this.#message(afterIndex, message);
  }

  settled(queue: number, index: number): Buffer[] {
    this.#indexed(recordType.settled, queue, index);
    return [this.#head.subarray(0, afterIndex)];
  }

  deliveryCount(queue: number, index: number, count: number): Buffer[] {
    this.#indexed(recordType.deliveryCount, queue, index);
    this.#head.writeUInt32BE(count, afterIndex);
    return [this.#head.subarray(0, afterIndex + 4)];
  }

  streamEntry(queue: number, offset: number, timestampMs: number, message: MessageToStore): Buffer[] {
    this.#indexed(recordType.streamEntry, queue, offset);
    this.#head.writeDoubleBE(timestampMs, afterIndex);
    return this.#message(afterIndex + 8, message);
  }

  streamStart(queue: number, firstOffset: number): Buffer[] {
    this.#indexed(recordType.streamStart, queue, firstOffset);
    return [this.#head.subarray(0, afterIndex)];
  }

  #indexed(type: number, queue: number, index: number): void {
    this.#head[0] = type;
    this.#head.writeUInt32BE(queue, 1);
    this.#head.writeUIntBE(index, indexAt, 6);
  }

  #message(at: number, { exchange, key, properties, body, expiresAt }: MessageToStore): Buffer[] {
    const head = this.#head;
    head.writeDoubleBE(expiresAt ?? Number.NaN, at);
    const exchangeAt = at + 14;
    const exchangeBytes = this.#short(exchange, exchangeAt);
    const keyBytes = this.#short(key, exchangeAt + exchangeBytes);
    head[at + 8] = exchangeBytes;
    head[at + 9] = keyBytes;
    head.writeUInt32BE(properties.length, at + 10);
    return [head.subarray(0, exchangeAt + exchangeBytes + keyBytes), properties, ...partsOf(body)];
  }

  #short(text: string, at: number): number {
    const bytes = this.#head.write(text, at, shortBytes);
    // `write` drops what does not fit: better no message than another one.
    if (bytes < text.length || (bytes >= shortBytes - 3 && Buffer.byteLength(text) > shortBytes)) {
      throw new Failure('NAME_TOO_LONG', `an exchange or routing key of more than ${shortBytes} bytes`);
    }
    return bytes;
  }
}

export const typeOf = (record: Buffer): number => record[0] ?? 0;
export const queueOf = (record: Buffer): number => record.readUInt32BE(1);
export const indexOf = (record: Buffer): number => record.readUIntBE(indexAt, 6);
export const countOf = (record: Buffer): number => record.readUInt32BE(afterIndex);
export const timestampOf = (record: Buffer): number => record.readDoubleBE(afterIndex);

export function nameOf(record: Buffer): string {
  return record.toString('utf8', 1);
}

export function definitionOf(record: Buffer): Definition {
  const at = typeOf(record) === recordType.exchange ? 1 : indexAt;
  return JSON.parse(record.toString('utf8', at)) as Definition;
}

export function bindingOf(record: Buffer): { exchange: string; key: string } {
  const [exchange = '', key = ''] = JSON.parse(record.toString('utf8', indexAt)) as string[];
  return { exchange, key };
}

/** Its buffers are parts of the record. */
export function messageOf(record: Buffer): StoredMessage {
  const at = typeOf(record) === recordType.message ? afterIndex : afterIndex + 8;
  const expiresAt = record.readDoubleBE(at);
  const exchangeAt = at + 14;
  const keyAt = exchangeAt + record.readUInt8(at + 8);
  const propertiesAt = keyAt + record.readUInt8(at + 9);
  const bodyAt = propertiesAt + record.readUInt32BE(at + 10);
  return {
    exchange: record.toString('utf8', exchangeAt, keyAt),
    key: record.toString('utf8', keyAt, propertiesAt),
    properties: record.subarray(propertiesAt, bodyAt),
    body: record.subarray(bodyAt),
    expiresAt: Number.isNaN(expiresAt) ? undefined : expiresAt,
  };
}
