import type { PieceMap, PieceRun } from './piece-map.ts';

/** For each piece how many of those who have a part hold it, and how many say that it is coming to somebody; kept as they tell. */
export class PieceCounts {
  readonly #held: Uint16Array;
  readonly #coming: Uint16Array;

  constructor(pieces: number) {
    this.#held = new Uint16Array(pieces);
    this.#coming = new Uint16Array(pieces);
  }

  /** Lower is rarer; 0: nobody else has it or gets it. */
  rarity(piece: number): number {
    return (this.#held[piece] ?? 0) * 2 + (this.#coming[piece] ?? 0);
  }

  hold(piece: number): void {
    count(this.#held, piece, 1);
  }

  holdAll(map: PieceMap, by: 1 | -1): void {
    for (const run of map.runs()) countRun(this.#held, run, by);
  }

  come(runs: readonly PieceRun[], by: 1 | -1): void {
    for (const run of runs) countRun(this.#coming, run, by);
  }
}

function count(counts: Uint16Array, piece: number, by: 1 | -1): void {
  if (piece < counts.length) counts[piece] = (counts[piece] ?? 0) + by;
}

function countRun(counts: Uint16Array, run: PieceRun, by: 1 | -1): void {
  const end = Math.min(counts.length, run.first + run.count);
  for (let piece = run.first; piece < end; piece++) count(counts, piece, by);
}
