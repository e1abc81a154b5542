import { decodeTable } from './decode-table.ts';
import { AmqpError, type MethodId, showOctets } from './error.ts';
import {
  type ClientMethod,
  idOf,
  type Method,
  type MethodOf,
  type MethodSpec,
  specById,
  specOf,
} from './method-spec.ts';
import type { FieldKind } from './method-table.ts';
import { decodeText, Reader } from './reader.ts';

/** basic.publish, and its exchange and routing key as they came, to be sent on (`pushDelivery`). */
export type Publish = MethodOf<'basic.publish'> & { readonly route: Buffer };

type Decoded<M extends Method> = Exclude<M, { name: 'basic.publish' }> | Publish;

/** A method as it was received. */
export type ReceivedMethod = Decoded<Method>;

/** A method as it was received, of those that a client may send. */
export type ReceivedClientMethod = Decoded<ClientMethod>;

const publishId = idOf(60, 40);
const ackId = idOf(60, 80);

/**
 * The method in a method frame's payload (§2.3.5.1). Errors name it as their cause, and are RabbitMQ's where RabbitMQ
 * has one; where it cuts the connection without a word (an unknown method, a broken table) they are the specification's.
 * @throws AmqpError 540 unknown class or method; 501 arguments that are too short, too long or, where text is due, not
 * UTF-8; 502 a broken field table
 */
export function decodeMethod(bytes: Buffer, start = 0, end = bytes.length): ReceivedMethod {
  if (end - start < 4) throw undecodable(bytes, start, end);
  const id = bytes.readUInt32BE(start);
  if (id === publishId) return decodePublish(bytes, start + 4, end);
  if (id === ackId) return decodeAck(bytes, start + 4, end);
  const spec = specById(id);
  if (spec === undefined) throw new AmqpError(540, `no method ${id >>> 16}.${id & 0xffff}`, methodIdOf(id));
  return decodeArguments(spec, bytes, start + 4, end);
}

/**
 * `decodeMethod` for what came from a client.
 * @throws AmqpError also 503 on a method that only a server sends, as RabbitMQ does on any channel but 0
 */
export function decodeClientMethod(bytes: Buffer, start = 0, end = bytes.length): ReceivedClientMethod {
  const method = decodeMethod(bytes, start, end);
  if (isFromClient(method)) return method;
  throw new AmqpError(503, 'unimplemented method', specOf(method.name));
}

function isFromClient(method: ReceivedMethod): method is ReceivedClientMethod {
  return specOf(method.name).from !== 'server';
}

/** The hottest of all, so by hand. The reserved ticket, exchange, routing key, and two bits. */
function decodePublish(bytes: Buffer, start: number, end: number): Publish {
  const at = start + 2;
  const exchangeEnd = at + 1 + (at < end ? (bytes[at] as number) : 0);
  const keyEnd = exchangeEnd + 1 + (exchangeEnd < end ? (bytes[exchangeEnd] as number) : 0);
  if (keyEnd + 1 !== end) throw undecodable(bytes, start, end, methodIdOf(publishId));
  const bits = bytes[keyEnd] as number;
  return {
    name: 'basic.publish',
    exchange: exchangeEnd === at + 1 ? '' : decodeText(bytes, at + 1, exchangeEnd),
    routingKey: decodeText(bytes, exchangeEnd + 1, keyEnd),
    mandatory: (bits & 1) !== 0,
    immediate: (bits & 2) !== 0,
    route: bytes.subarray(at, keyEnd),
  };
}

function decodeAck(bytes: Buffer, start: number, end: number): MethodOf<'basic.ack'> {
  if (end - start !== 9) throw undecodable(bytes, start, end, methodIdOf(ackId));
  const deliveryTag = bytes.readUInt32BE(start) * 0x1_0000_0000 + bytes.readUInt32BE(start + 4);
  return { name: 'basic.ack', deliveryTag, multiple: ((bytes[start + 8] as number) & 1) !== 0 };
}

function decodeArguments(spec: MethodSpec, bytes: Buffer, start: number, end: number): ReceivedMethod {
  const refuse = (): AmqpError => undecodable(bytes, start, end, spec);
  const reader = new Reader(bytes, start, end, refuse);
  const method: Record<string, unknown> = { name: spec.name };
  let bits = 0;
  let bit = 0;
  for (const { name, kind, isReserved } of spec.arguments) {
    let value: unknown;
    if (kind === 'bit') {
      if (bit === 0) bits = reader.octet();
      value = ((bits >> bit) & 1) !== 0;
      bit = (bit + 1) % 8;
    } else {
      value = readArgument(reader, kind);
      bit = 0;
    }
    if (!isReserved) method[name] = value;
  }
  if (reader.left > 0) throw refuse();
  // The row says so, argument by argument.
  return method as unknown as ReceivedMethod;
}

function readArgument(reader: Reader, kind: Exclude<FieldKind, 'bit'>): unknown {
  return kind === 'table' ? decodeTable(reader.longstr()) : reader[kind]();
}

function undecodable(bytes: Buffer, start: number, end: number, method?: MethodId): AmqpError {
  // More than fits into a close method's text anyway.
  return new AmqpError(501, `cannot decode ${showOctets(bytes.subarray(start, end), 128)}`, method);
}

function methodIdOf(id: number): MethodId {
  return { classId: id >>> 16, methodId: id & 0xffff };
}
