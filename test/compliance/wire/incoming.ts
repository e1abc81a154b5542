import { type Decoded, decodeMethod, type FieldValue, frameEnd, frameOverhead, frameType } from './codec.ts';
import { decodeProperties, type Properties } from './properties.ts';

export type Frame =
  | {
      readonly kind: 'method';
      readonly channel: number;
      readonly name: Decoded['name'];
      readonly fields: Decoded['fields'];
    }
  | { readonly kind: 'header'; readonly channel: number; readonly bodySize: number; readonly properties: Buffer }
  | { readonly kind: 'body'; readonly channel: number; readonly payload: Buffer }
  | { readonly kind: 'heartbeat'; readonly channel: number }
  /** What a server says to a client whose protocol it does not speak: eight bytes, no frame. */
  | { readonly kind: 'protocol header'; readonly channel: 0; readonly version: string };

/** A message as it came: delivered, got or returned. */
export interface Message {
  readonly name: 'basic.deliver' | 'basic.get-ok' | 'basic.return';
  readonly fields: Readonly<Record<string, FieldValue>>;
  readonly properties: Properties;
  /** Flags and values, byte for byte. */
  readonly propertyBytes: Buffer;
  readonly body: Buffer;
  /** Payload sizes of the frames that brought the body. */
  readonly bodyFrames: readonly number[];
}

/** Cuts a stream of bytes into frames. Throws at anything a correct server would not send. */
export class FrameSplitter {
  #rest: Buffer = Buffer.alloc(0);

  push(bytes: Buffer): Frame[] {
    this.#rest = Buffer.concat([this.#rest, bytes]);
    const frames: Frame[] = [];
    for (;;) {
      const taken = take(this.#rest);
      if (!taken) return frames;
      this.#rest = this.#rest.subarray(taken.size);
      frames.push(taken.frame);
    }
  }
}

function take(bytes: Buffer): { frame: Frame; size: number } | undefined {
  if (bytes.length < frameOverhead) return undefined;
  if (bytes.toString('latin1', 0, 4) === 'AMQP')
    return { frame: { kind: 'protocol header', channel: 0, version: [...bytes.subarray(4, 8)].join('.') }, size: 8 };
  const size = bytes.readUInt32BE(3) + frameOverhead;
  if (bytes.length < size) return undefined;
  if (bytes[size - 1] !== frameEnd) throw new Error('the server sent a frame without its end octet');
  return { frame: decodeFrame(bytes.readUInt8(0), bytes.readUInt16BE(1), bytes.subarray(7, size - 1)), size };
}

function decodeFrame(type: number, channel: number, payload: Buffer): Frame {
  if (type === frameType.method) return { kind: 'method', channel, ...decodeMethod(payload) };
  if (type === frameType.header)
    return {
      kind: 'header',
      channel,
      bodySize: Number(payload.readBigUInt64BE(4)),
      properties: Buffer.from(payload.subarray(12)),
    };
  if (type === frameType.body) return { kind: 'body', channel, payload: Buffer.from(payload) };
  if (type === frameType.heartbeat) return { kind: 'heartbeat', channel };
  throw new Error(`the server sent a frame of type ${type}`);
}

/** The message that a method frame begins; `next` yields the frames after it on the same channel. */
export async function readMessage(
  first: Extract<Frame, { kind: 'method' }>,
  next: () => Promise<Frame>,
): Promise<Message> {
  const header = await next();
  if (header.kind !== 'header') throw new Error(`a ${header.kind} frame followed ${first.name}`);
  const parts: Buffer[] = [];
  for (let size = 0; size < header.bodySize; ) {
    const frame = await next();
    if (frame.kind !== 'body') throw new Error(`a ${frame.kind} frame came inside the body of ${first.name}`);
    parts.push(frame.payload);
    size += frame.payload.length;
  }
  return {
    name: first.name as Message['name'],
    fields: first.fields,
    properties: decodeProperties(header.properties),
    propertyBytes: header.properties,
    body: Buffer.concat(parts),
    bodyFrames: parts.map(part => part.length),
  };
}
