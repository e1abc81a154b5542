import { type Body, Pieces } from './body.ts';
import { AmqpError, showOctets } from './error.ts';
import { emptyFrameBytes, frameEnd, frameHeadBytes, frameType } from './frame.ts';

const nothing: Buffer = Buffer.alloc(0);
const whole: readonly Buffer[] = [];
/** In more pieces than these a body frame is copied together: a client that sends octet by octet must not cost us a buffer for each. */
const mostPieces = 8;

/**
 * Cuts a stream of octets into frames (§4.2.3). A cursor, so that a frame costs no more than the view that is taken:
 *
 *     parser.push(chunk);
 *     while (parser.next()) handle(parser.type, parser.channel, parser.payload);
 *
 * A frame within one chunk is not copied, nor, up to a few pieces, is a body frame that spans chunks; whoever keeps a payload keeps those
 * chunks. Of what was pushed and read the parser itself keeps one unfinished frame. It checks all that RabbitMQ checks of a frame alone: also the sizes of
 * methods, content headers and heartbeats, and that content belongs to a channel and a heartbeat to none.
 */
export class FrameParser {
  /** Of the frame that `next` came to: 1 method, 2 content header, 3 content body, 8 heartbeat. */
  type = 0;
  channel = 0;
  /** Its payload lies in `bytes` from `start` to `end`, except that of a body frame: that is `body`. */
  bytes: Buffer = nothing;
  start = 0;
  end = 0;

  /** Octets of a whole frame; set anew when negotiated. 8 more are let pass, as by RabbitMQ: clients count them amiss. */
  frameMax: number;

  #chunk: Buffer = nothing;
  #at = 0;
  /** Of a frame that is not all there: its head, then, the size being known, its payload and end. */
  readonly #head = Buffer.alloc(frameHeadBytes);
  #headFilled = 0;
  #rest: Buffer | undefined;
  #restFilled = 0;
  /** Of a body frame that is not all there: what there is of its payload and end, and octets still missing. */
  #pieces: Buffer[] | undefined;
  #missing = 0;
  /** Of the body frame that `next` came to, where it came in pieces. */
  #parts = whole;
  #isLost = false;

  constructor(frameMax: number) {
    this.frameMax = frameMax;
  }

  get payload(): Buffer {
    return this.#parts === whole ? this.bytes.subarray(this.start, this.end) : Buffer.concat(this.#parts);
  }

  /** The payload of a body frame. */
  get body(): Body {
    return this.#parts === whole ? this.bytes.subarray(this.start, this.end) : new Pieces(this.#parts);
  }

  /** Adds what was received; what `next` has not come to yet stays in front of it. */
  push(chunk: Buffer): void {
    if (this.#isLost) return;
    this.#chunk = this.#at < this.#chunk.length ? Buffer.concat([this.#chunk.subarray(this.#at), chunk]) : chunk;
    this.#at = 0;
  }

  /**
   * Goes to the next frame, if it is all there.
   * @throws AmqpError 501 on a frame too large or without its end octet: nothing can be made of what follows, and `next`
   * returns false for ever; 501 or 505 on a frame of a wrong type, size or channel, behind which it can go on
   */
  next(): boolean {
    this.#parts = whole;
    if (this.#pieces) return this.#gather(this.#pieces);
    if (this.#rest === undefined) {
      const at = this.#at;
      if (this.#headFilled === 0 && this.#chunk.length - at >= frameHeadBytes) {
        const size = this.#sizeOf(this.#chunk, at);
        if (this.#chunk.length - at >= size + emptyFrameBytes) {
          this.#at = at + size + emptyFrameBytes;
          this.#open(this.#chunk, at, this.#chunk, at + frameHeadBytes, size);
          return true;
        }
      }
      this.#headFilled += this.#moveTo(this.#head, this.#headFilled);
      if (this.#headFilled < frameHeadBytes) return this.#drained();
      const size = this.#sizeOf(this.#head, 0);
      if (this.#head[0] === frameType.body && size > 0) {
        this.#missing = size + 1;
        this.#pieces = [];
        return this.#gather(this.#pieces);
      }
      this.#rest = Buffer.allocUnsafe(size + 1);
      this.#restFilled = 0;
    }
    const rest = this.#rest;
    this.#restFilled += this.#moveTo(rest, this.#restFilled);
    if (this.#restFilled < rest.length) return this.#drained();
    this.#rest = undefined;
    this.#headFilled = 0;
    this.#open(this.#head, 0, rest, 0, rest.length - 1);
    return true;
  }

  /** The next piece of a body frame, if there is one. */
  #gather(pieces: Buffer[]): boolean {
    const until = Math.min(this.#chunk.length, this.#at + this.#missing);
    if (until > this.#at) pieces.push(this.#chunk.subarray(this.#at, until));
    this.#missing -= until - this.#at;
    this.#at = until;
    if (this.#missing > 0) {
      if (pieces.length === mostPieces) {
        const filled = Buffer.concat(pieces);
        this.#pieces = undefined;
        this.#rest = Buffer.allocUnsafe(filled.length + this.#missing);
        this.#restFilled = filled.copy(this.#rest);
      }
      return this.#drained();
    }
    this.#pieces = undefined;
    this.#headFilled = 0;
    // The last octet is the frame's end.
    const last = pieces.pop() as Buffer;
    this.#open(this.#head, 0, last, 0, last.length - 1);
    if (last.length > 1) pieces.push(last.subarray(0, -1));
    this.#parts = pieces;
    return true;
  }

  /** Moves what `target` still lacks, or all there is. @returns octets moved */
  #moveTo(target: Buffer, filled: number): number {
    const moved = this.#chunk.copy(target, filled, this.#at);
    this.#at += moved;
    return moved;
  }

  /** Nothing is left of the chunk: it is not held on to. */
  #drained(): false {
    this.bytes = nothing;
    this.#chunk = nothing;
    this.#at = 0;
    return false;
  }

  #sizeOf(bytes: Buffer, at: number): number {
    const size = bytes.readUInt32BE(at + 3);
    if (size <= this.frameMax) return size;
    throw this.#lose(bytes[at], nothing, `{frame_too_large,${size},${this.frameMax - emptyFrameBytes}}`);
  }

  #open(head: Buffer, headAt: number, bytes: Buffer, start: number, size: number): void {
    const type = head[headAt] as number;
    const channel = head.readUInt16BE(headAt + 1);
    const end = start + size;
    if (bytes[end] !== frameEnd) {
      throw this.#lose(type, bytes.subarray(start, end), `{invalid_frame_end_marker,${bytes[end]}}`);
    }
    if (!isWellSized(type, size)) throw new AmqpError(501, `${show(type, bytes.subarray(start, end))}: unknown_frame`);
    if (isMisplaced(type, channel)) throw new AmqpError(505, show(type, bytes.subarray(start, end)));
    this.type = type;
    this.channel = channel;
    this.bytes = bytes;
    this.start = start;
    this.end = end;
  }

  #lose(type: number | undefined, payload: Buffer, reason: string): AmqpError {
    this.#isLost = true;
    this.#drained();
    this.#rest = undefined;
    this.#pieces = undefined;
    this.#headFilled = 0;
    return new AmqpError(501, `${show(type, payload)}: ${reason}`);
  }
}

/** A method has its two numbers (§4.2.4), a content header at least class, weight and body size (§4.2.6.1). */
function isWellSized(type: number, size: number): boolean {
  switch (type) {
    case frameType.body:
      return true;
    case frameType.method:
      return size >= 4;
    case frameType.header:
      return size >= 12;
    case frameType.heartbeat:
      return size === 0;
    default:
      return false;
  }
}

function isMisplaced(type: number, channel: number): boolean {
  return type !== frameType.method && (channel === 0) !== (type === frameType.heartbeat);
}

/** As RabbitMQ describes a frame. */
function show(type: number | undefined, payload: Buffer): string {
  const octets = showOctets(payload.subarray(0, 16), 16);
  return `type ${type}, ${payload.length > 16 ? 'first 16' : 'all'} octets = ${octets}`;
}
