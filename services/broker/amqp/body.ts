/**
 * The octets of a message's body, whole or in the pieces in which they came off the socket. Most of what is published is sent on and
 * forgotten: to join a large body first would be a copy and an allocation of its size for nothing.
 */
export type Body = Buffer | Pieces;

export class Pieces {
  readonly parts: readonly Buffer[];
  /** Octets of all. */
  readonly length: number;

  constructor(parts: readonly Buffer[]) {
    this.parts = parts;
    let length = 0;
    for (const part of parts) length += part.length;
    this.length = length;
  }
}

export function partsOf(body: Body): readonly Buffer[] {
  return body instanceof Pieces ? body.parts : [body];
}

/** In one buffer: the body's own, or a copy. */
export function joined(body: Body): Buffer {
  return body instanceof Pieces ? Buffer.concat(body.parts, body.length) : body;
}

/** Writes it into `target`, from `at` on. */
export function copyBody(body: Body, target: Buffer, at: number): void {
  if (!(body instanceof Pieces)) {
    target.set(body, at);
    return;
  }
  let to = at;
  for (const part of body.parts) {
    target.set(part, to);
    to += part.length;
  }
}

const largePiece = 4096;
const blockBytes = 16_384;
/** About what a piece costs beside its bytes. */
const pieceBytes = 150;

/**
 * A body on its way in. Large pieces stay where they are; small ones are copied together, or a client could have us hold a
 * buffer, and the chunk from the socket that it is a window on, for every octet.
 */
export class BodyGathering {
  #parts: Buffer[] = [];
  #block: Buffer | undefined;
  /** What is used of the block, and from where on it is not yet in `#parts`. */
  #used = 0;
  #from = 0;
  #lastChunk: ArrayBufferLike | undefined;
  #heldBytes = 0;

  /** Memory that what was added keeps: its chunks, its blocks, and about what a piece costs beside them. */
  get heldBytes(): number {
    return this.#heldBytes;
  }

  add(body: Body): void {
    for (const part of partsOf(body)) {
      if (part.length < largePiece) this.#copy(part);
      else {
        this.#cut();
        this.#parts.push(part);
        this.#heldBytes += pieceBytes;
        if (part.buffer !== this.#lastChunk) this.#heldBytes += part.buffer.byteLength;
        this.#lastChunk = part.buffer;
      }
    }
  }

  /** All that was added; the next begins with nothing. */
  take(): Body {
    this.#cut();
    const parts = this.#parts;
    this.#parts = [];
    // What is left of the block is the message's: the next one must not keep this one in memory.
    this.#block = undefined;
    this.#used = this.#from = 0;
    this.#heldBytes = 0;
    this.#lastChunk = undefined;
    return parts.length === 1 ? (parts[0] as Buffer) : new Pieces(parts);
  }

  #copy(part: Buffer): void {
    let at = 0;
    while (at < part.length) {
      if (!this.#block || this.#used === this.#block.length) {
        this.#cut();
        this.#block = Buffer.allocUnsafeSlow(blockBytes);
        this.#heldBytes += blockBytes + pieceBytes;
        this.#used = this.#from = 0;
      }
      const copied = part.copy(this.#block, this.#used, at);
      this.#used += copied;
      at += copied;
    }
  }

  #cut(): void {
    if (!this.#block || this.#used === this.#from) return;
    this.#parts.push(this.#block.subarray(this.#from, this.#used));
    this.#from = this.#used;
  }
}
