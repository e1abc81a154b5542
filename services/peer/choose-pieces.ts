import { pieceBytes } from './merkle.ts';
import type { PieceCounts } from './piece-counts.ts';
import type { PieceMap, PieceRun } from './piece-map.ts';
import type { SwarmSource } from './swarm-source.ts';

/** Pieces looked at for one choice, so that it costs the same whatever the file's size. */
const lookedAt = 16_384;

export interface Choice {
  readonly source: SwarmSource;
  readonly counts: PieceCounts;
  readonly have: PieceMap;
  /** How many requests each piece is in. */
  readonly asked: Uint8Array;
  /** The piece to look from. */
  readonly start: number;
  /** Pieces at most. */
  readonly most: number;
  /** Of a seed: also for what others have, or get. */
  readonly mayAskForHeld: boolean;
}

/**
 * Rarest first: pieces that nobody asked for yet and the fewest of those who have a part hold, or are about to. A seed is asked for what
 * nobody else has.
 */
export function choosePieces(choice: Choice): PieceRun | undefined {
  const { source, counts, have, asked, start, most, mayAskForHeld } = choice;
  const isSeed = source.has === undefined;
  const isOpen = (piece: number): boolean => !have.has(piece) && asked[piece] === 0 && source.hasPiece(piece);
  const bound = isSeed && !mayAskForHeld ? 0 : Number.POSITIVE_INFINITY;

  let first = -1;
  let fewest = Number.POSITIVE_INFINITY;
  const pieces = have.pieces;
  // Past what is full at a byte a time would be quicker; it is one look at a bit each.
  for (let step = 0, looked = 0; step < pieces && looked < lookedAt; step++) {
    const piece = (start + step) % pieces;
    if (!isOpen(piece)) continue;
    looked++;
    const count = counts.rarity(piece);
    if (count > bound || count >= fewest) continue;
    first = piece;
    fewest = count;
    if (count === 0 || (!isSeed && count === 2)) break;
  }
  if (first < 0) return undefined;
  let count = 1;
  while (count < most && first + count < pieces && isOpen(first + count) && counts.rarity(first + count) <= fewest)
    count++;
  return { first, count };
}

/** However slow a seed is, it is not left alone for longer when nobody else brings anything. */
const mostCourtesyMs = 15_000;

/**
 * Whether a seed may be asked for what others have too. It is left to those who need it while they bring enough: ten who pull from one seed
 * would else have it send everything ten times. But not for ever, if they bring little: then it is asked for a while as if it were alone.
 */
export function mayAskForHeld(
  source: SwarmSource,
  ready: readonly SwarmSource[],
  now: number,
  courtesyMs: number,
): boolean {
  if (source.has !== undefined || now < source.openUntil) return true;
  const partial = ready.filter(({ has }) => has !== undefined);
  if (partial.length === 0 && source.coming.length === 0) return true;
  // Until what others get from it now should have come to them, and from them to us.
  const pieceMs = source.rate === 0 ? 0 : (pieceBytes * 1000) / source.rate;
  const patience = Math.min(mostCourtesyMs, Math.max(courtesyMs, 4 * pieceMs));
  if (source.requests.size > 0 || now - source.idleSince < patience) return false;
  const brought = partial.reduce((sum, { rate, requests }) => sum + (requests.size > 0 ? rate : 0), 0);
  if (brought > 0 && brought >= source.rate / 4) return false;
  source.openUntil = now + 4 * courtesyMs;
  return true;
}
