/**
 * Where one WebSocket frame ends and the next begins in a stream of bytes (RFC 6455 §5.2), so that the proxy can say a last word of its own
 * in between.
 */
export class FrameBoundary {
  /** Of the frame's head: what there is of it. */
  #head: number[] = [];
  /** Bytes of payload still to come. */
  #left = 0;

  /** Whether a whole number of frames went by. */
  get isBetweenFrames(): boolean {
    return this.#left === 0 && this.#head.length === 0;
  }

  push(chunk: Buffer): void {
    let at = 0;
    while (at < chunk.length) {
      if (this.#left > 0) {
        const skipped = Math.min(this.#left, chunk.length - at);
        this.#left -= skipped;
        at += skipped;
        continue;
      }
      this.#head.push(chunk[at++] as number);
      const size = payloadOf(this.#head);
      if (size === undefined) continue;
      this.#left = size;
      this.#head = [];
    }
  }
}

/** The payload's size, once the head is whole. */
function payloadOf(head: readonly number[]): number | undefined {
  const [, second] = head;
  if (second === undefined) return undefined;
  const maskBytes = second & 0x80 ? 4 : 0;
  const short = second & 0x7f;
  const lengthBytes = short === 126 ? 2 : short === 127 ? 8 : 0;
  if (head.length < 2 + lengthBytes + maskBytes) return undefined;
  if (lengthBytes === 0) return short;
  let size = 0;
  for (const byte of head.slice(2, 2 + lengthBytes)) size = size * 256 + byte;
  return size;
}

/** Of a control frame's 125 octets, two are the code. */
const reasonOctets = 123;

/** A close frame from a server (RFC 6455 §5.5.1); of the reason, the whole characters that fit. */
export function closeFrame(code: number, reason: string): Buffer {
  const room = Buffer.alloc(reasonOctets);
  const text = room.subarray(0, room.write(reason));
  const frame = Buffer.alloc(4 + text.length);
  frame[0] = 0x88;
  frame[1] = 2 + text.length;
  frame.writeUInt16BE(code, 2);
  text.copy(frame, 4);
  return frame;
}
