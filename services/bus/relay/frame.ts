import { BinaryReader, BinaryWriter } from '@bufbuild/protobuf/wire';
import { RelayHead } from '../../../proto/gen/warren/bus/v1/relay.ts';

export type FrameKind = NonNullable<RelayHead['kind']>;

export interface Frame {
  readonly stream: number;
  readonly kind: FrameKind;
  readonly data: Buffer;
}

/** Bytes of data in one frame at most: with all around it, it just fits into one AMQP frame of 128 KiB (see lib/parts.ts). */
export const dataBytes = 124 * 1024;

/** What a frame of data costs of its stream's credit: more than its bytes, so that empty ones cannot come without end. */
export function creditOf(data: Uint8Array): number {
  return data.length + 256;
}

const none = Buffer.alloc(0);

/** A frame's content in pieces, to be sealed as one. */
export function encodeFrame(stream: number, kind: FrameKind, data: Uint8Array = none): Uint8Array[] {
  const head = RelayHead.encode({ stream, kind }).finish();
  return [new BinaryWriter().uint32(head.length).finish(), head, data];
}

/** The data is a view of the content. @throws Error on what is no frame */
export function decodeFrame(content: Buffer): Frame {
  const reader = new BinaryReader(content);
  const { stream, kind } = RelayHead.decode(reader, reader.uint32());
  if (kind === undefined) throw new RangeError('a frame of no kind');
  return { stream, kind, data: content.subarray(reader.pos) };
}
