import { Failure } from '../lib/failure.ts';

/** Consecutive pieces. */
export interface PieceRun {
  readonly first: number;
  readonly count: number;
}

/** Which pieces are there: one bit each, the first in the highest bit of the first byte. */
export class PieceMap {
  readonly pieces: number;
  readonly #bits: Uint8Array;
  #count = 0;

  constructor(pieces: number, bits = new Uint8Array(Math.ceil(pieces / 8))) {
    this.pieces = pieces;
    this.#bits = bits;
    for (const byte of bits) for (let rest = byte; rest > 0; rest &= rest - 1) this.#count++;
  }

  /** @throws Failure PEER_PIECE_MAP when it is not one of so many pieces */
  static decode(pieces: number, bytes: Uint8Array): PieceMap {
    const beyond = (pieces % 8 === 0 ? 0 : 0xff >> (pieces % 8)) & (bytes.at(-1) ?? 0);
    if (bytes.length !== Math.ceil(pieces / 8) || beyond !== 0)
      throw new Failure('PEER_PIECE_MAP', `that is no map of ${pieces} pieces`);
    return new PieceMap(pieces, new Uint8Array(bytes));
  }

  static full(pieces: number): PieceMap {
    const map = new PieceMap(pieces);
    map.addRun({ first: 0, count: pieces });
    return map;
  }

  encode(): Uint8Array {
    return this.#bits.slice();
  }

  has(piece: number): boolean {
    return ((this.#bits[piece >>> 3] ?? 0) & (0x80 >> (piece & 7))) !== 0;
  }

  /** @returns whether it was not there. Pieces that there are not are ignored. */
  add(piece: number): boolean {
    if (!(piece >= 0 && piece < this.pieces) || this.has(piece)) return false;
    this.#bits[piece >>> 3] = (this.#bits[piece >>> 3] ?? 0) | (0x80 >> (piece & 7));
    this.#count++;
    return true;
  }

  addRun({ first, count }: PieceRun): void {
    const end = Math.min(this.pieces, first + count);
    for (let piece = first; piece < end; piece++) this.add(piece);
  }

  delete(piece: number): void {
    if (!this.has(piece)) return;
    this.#bits[piece >>> 3] = (this.#bits[piece >>> 3] ?? 0) & ~(0x80 >> (piece & 7));
    this.#count--;
  }

  get count(): number {
    return this.#count;
  }

  get isComplete(): boolean {
    return this.#count === this.pieces;
  }

  /** In order. */
  *runs(): Generator<PieceRun> {
    let first = -1;
    for (let piece = 0; piece <= this.pieces; piece++) {
      if (piece < this.pieces && this.has(piece)) {
        if (first < 0) first = piece;
      } else if (first >= 0) {
        yield { first, count: piece - first };
        first = -1;
      }
    }
  }
}
