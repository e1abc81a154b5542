import type { RecordRef } from './record-ref.ts';

const chunkEntries = 64;

interface Chunk {
  live: number;
  /** 0: no entry (every segment begins with its header). */
  readonly positions: Float64Array;
  readonly bytes: Uint32Array;
  readonly timestamps: Float64Array | undefined;
}

/**
 * Where the records of a queue are, by index: packed, since there may be millions. Indexes ascend and mostly leave in that
 * order, so they live in chunks of neighbours, and a chunk goes with its last entry. 12 bytes an entry, 20 with timestamps.
 */
export class EntryTable {
  readonly #chunks = new Map<number, Chunk>();
  readonly #hasTimestamps: boolean;
  #newest = -1;
  #count = 0;
  #bytes = 0;

  constructor(kind: 'plain' | 'timestamps') {
    this.#hasTimestamps = kind === 'timestamps';
  }

  get count(): number {
    return this.#count;
  }

  /** On disk, of all entries. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Adds or replaces. */
  set(index: number, { position, bytes }: RecordRef, timestamp = 0): void {
    const number = Math.floor(index / chunkEntries);
    let chunk = this.#chunks.get(number);
    if (!chunk) {
      chunk = {
        live: 0,
        positions: new Float64Array(chunkEntries),
        bytes: new Uint32Array(chunkEntries),
        timestamps: this.#hasTimestamps ? new Float64Array(chunkEntries) : undefined,
      };
      this.#chunks.set(number, chunk);
      if (number > this.#newest) {
        if (this.#chunks.get(this.#newest)?.live === 0) this.#chunks.delete(this.#newest);
        this.#newest = number;
      }
    }
    const at = index % chunkEntries;
    if (chunk.positions[at] === 0) {
      chunk.live++;
      this.#count++;
    }
    this.#bytes += bytes - (chunk.bytes[at] ?? 0);
    chunk.positions[at] = position;
    chunk.bytes[at] = bytes;
    if (chunk.timestamps) chunk.timestamps[at] = timestamp;
  }

  get(index: number): RecordRef | undefined {
    const chunk = this.#chunks.get(Math.floor(index / chunkEntries));
    const position = chunk?.positions[index % chunkEntries];
    return chunk && position ? { position, bytes: chunk.bytes[index % chunkEntries] ?? 0 } : undefined;
  }

  has(index: number): boolean {
    return Boolean(this.#chunks.get(Math.floor(index / chunkEntries))?.positions[index % chunkEntries]);
  }

  timestamp(index: number): number | undefined {
    return this.#chunks.get(Math.floor(index / chunkEntries))?.timestamps?.[index % chunkEntries];
  }

  /** @returns what it was */
  delete(index: number): RecordRef | undefined {
    const entry = this.get(index);
    const number = Math.floor(index / chunkEntries);
    const chunk = this.#chunks.get(number);
    if (!entry || !chunk) return undefined;
    this.#count--;
    this.#bytes -= entry.bytes;
    chunk.live--;
    // The newest stays: in a queue that is mostly empty each message would make one anew.
    if (chunk.live === 0 && number !== this.#newest) this.#chunks.delete(number);
    chunk.positions[index % chunkEntries] = 0;
    chunk.bytes[index % chunkEntries] = 0;
    return entry;
  }

  /** Not in order. */
  *entries(): Generator<[index: number, entry: RecordRef]> {
    for (const [number, chunk] of this.#chunks) {
      for (let at = 0; at < chunkEntries; at++) {
        const position = chunk.positions[at];
        if (position) yield [number * chunkEntries + at, { position, bytes: chunk.bytes[at] ?? 0 }];
      }
    }
  }
}
