import { BinaryReader } from '@bufbuild/protobuf/wire';
import { type Part, Parts, RequestPart } from '../../proto/gen/warren/proxy/v1/job.ts';

/**
 * Bytes of body in one part at most: with its head it just fits into one AMQP frame of 128 KiB. Uploads pass 1.3 to 1.8 times as fast as with 64 KiB, larger parts
 * (in two frames) are slower again (docs/benchmarks.md), and none comes near the 16 MiB that RabbitMQ 4 refuses.
 */
export const partBytes = 124 * 1024;

/** A part of a response as it was received. */
export interface ReceivedPart extends Part {
  readonly body: Buffer;
}

/** A part of a response to be sent: its body may be in pieces, which are joined in the message and nowhere before. */
export interface PartToSend {
  readonly part: Omit<Part, 'size'>;
  readonly body: readonly Buffer[];
}

/** The content of a `warren.proxy.v1.Parts` message (job.proto). */
export function encodeParts(worker: string, parts: readonly PartToSend[]): Buffer {
  const bodies: Buffer[] = [];
  const sized = parts.map(({ part, body }) => {
    let size = 0;
    for (const piece of body) {
      size += piece.length;
      bodies.push(piece);
    }
    return { ...part, size };
  });
  return withBodies(Parts.encode({ worker, parts: sized }).finish(), bodies);
}

/** The bodies are views of `content`. @throws Error on what is no such message */
export function decodeParts(content: Buffer): { worker: string; parts: ReceivedPart[] } {
  const reader = new BinaryReader(content);
  const { worker, parts } = Parts.decode(reader, reader.uint32());
  let at = reader.pos;
  const received = parts.map(part => {
    at += part.size;
    return { ...part, body: content.subarray(at - part.size, at) };
  });
  if (at !== content.length) throw new RangeError('the bodies are not as long as the parts say');
  return { worker, parts: received };
}

/** The content of a `warren.proxy.v1.RequestPart` message. */
export function encodeRequestPart(part: Omit<RequestPart, 'size'>, body: Buffer): Buffer {
  return withBodies(RequestPart.encode({ ...part, size: body.length }).finish(), [body]);
}

/** The body is a view of `content`. @throws Error on what is no such message */
export function decodeRequestPart(content: Buffer): RequestPart & { body: Buffer } {
  const reader = new BinaryReader(content);
  const part = RequestPart.decode(reader, reader.uint32());
  const body = content.subarray(reader.pos);
  if (body.length !== part.size) throw new RangeError('the body is not as long as the part says');
  return { ...part, body };
}

/** Length of the head as a varint, the head, the bodies. */
function withBodies(head: Uint8Array, bodies: readonly Buffer[]): Buffer {
  let size = 5 + head.length;
  for (const body of bodies) size += body.length;
  const content = Buffer.allocUnsafe(size);
  let at = 0;
  let rest = head.length;
  for (; rest > 0x7f; rest >>>= 7) content[at++] = (rest & 0x7f) | 0x80;
  content[at++] = rest;
  content.set(head, at);
  at += head.length;
  for (const body of bodies) {
    content.set(body, at);
    at += body.length;
  }
  return content.subarray(0, at);
}
