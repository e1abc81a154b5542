import { type Checksum, encodeFrame, frameBytes, markOf } from './frame.ts';

/** Smaller parts are copied together, larger ones are written from where they are. */
const copyBelow = 16 * 1024;
const chunkBytes = 64 * 1024;

/** Chunks that batches hand on to each other, so that a steady stream of them allocates nothing. */
export class ChunkPool {
  readonly #free: Buffer[] = [];

  take(atLeast: number): Buffer {
    if (atLeast > chunkBytes) return Buffer.allocUnsafeSlow(atLeast);
    return this.#free.pop() ?? Buffer.allocUnsafeSlow(chunkBytes);
  }

  giveBack(chunk: Buffer): void {
    if (chunk.length === chunkBytes && this.#free.length < 16) this.#free.push(chunk);
  }
}

/** The records of one flush: they follow each other in one segment from `start` on. */
export class Batch {
  readonly segment: number;
  readonly start: number;
  readonly waiters: (() => void)[] = [];
  bytes = 0;
  readonly #salt: number;
  readonly #checksum: Checksum;
  readonly #pool: ChunkPool;
  readonly #buffers: Buffer[] = [];
  readonly #chunks: Buffer[] = [];
  #chunk: Buffer | undefined;
  /** What is used of the chunk, and from where on it is not yet in `#buffers`. */
  #used = 0;
  #from = 0;

  constructor(place: { segment: number; start: number; salt: number }, pool: ChunkPool, checksum: Checksum) {
    this.segment = place.segment;
    this.start = place.start;
    this.#salt = place.salt;
    this.#pool = pool;
    this.#checksum = checksum;
  }

  get end(): number {
    return this.start + this.bytes;
  }

  /** @returns the offset of the record's frame in the segment */
  add(parts: readonly Buffer[]): number {
    const offset = this.end;
    let length = 0;
    let copied = frameBytes;
    for (const part of parts) {
      length += part.length;
      if (part.length < copyBelow) copied += part.length;
    }
    const chunk = this.#room(copied);
    const frameAt = this.#used;
    const mark = markOf(this.#salt, offset, length, this.start);
    let sum = mark;
    let summedTo = frameAt + frameBytes;
    this.#used = summedTo;
    for (const part of parts) {
      if (part.length < copyBelow) {
        chunk.set(part, this.#used);
        this.#used += part.length;
      } else {
        sum = this.#checksum(chunk.subarray(summedTo, this.#used), sum);
        sum = this.#checksum(part, sum);
        this.#cut();
        this.#buffers.push(part);
        summedTo = this.#used;
      }
    }
    if (summedTo < this.#used) sum = this.#checksum(chunk.subarray(summedTo, this.#used), sum);
    encodeFrame(chunk, frameAt, { length, batchStart: this.start, mark, checksum: sum });
    this.bytes += frameBytes + length;
    return offset;
  }

  /** What to write, in order. */
  buffers(): readonly Buffer[] {
    this.#cut();
    return this.#buffers;
  }

  /** A copy of a part of it; offsets as in the segment. */
  copy(offset: number, length: number): Buffer {
    const copy = Buffer.allocUnsafe(length);
    let at = this.start;
    for (const buffer of this.buffers()) {
      if (at + buffer.length > offset && at < offset + length) {
        const from = Math.max(0, offset - at);
        buffer.copy(copy, at + from - offset, from, Math.min(buffer.length, offset + length - at));
      }
      at += buffer.length;
    }
    return copy;
  }

  /** It is on disk, nobody reads it here any more. */
  release(): void {
    for (const chunk of this.#chunks) this.#pool.giveBack(chunk);
    this.#chunks.length = 0;
    this.#buffers.length = 0;
  }

  #room(bytes: number): Buffer {
    if (this.#chunk && this.#used + bytes <= this.#chunk.length) return this.#chunk;
    this.#cut();
    const chunk = this.#pool.take(bytes);
    this.#chunks.push(chunk);
    this.#chunk = chunk;
    this.#used = 0;
    this.#from = 0;
    return chunk;
  }

  #cut(): void {
    if (!this.#chunk || this.#used === this.#from) return;
    this.#buffers.push(this.#chunk.subarray(this.#from, this.#used));
    this.#from = this.#used;
  }
}
