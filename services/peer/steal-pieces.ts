import { pieceBytes } from './merkle.ts';
import type { PieceMap, PieceRun } from './piece-map.ts';
import type { SwarmRequest, SwarmSource } from './swarm-source.ts';

export interface Theft {
  readonly run: PieceRun;
  readonly from: SwarmRequest;
  /** The other request ends there; undefined: both bring the piece, and the first one counts. */
  readonly trimTo: number | undefined;
}

/** A request that was asked this long ago and brought nothing is taken for slow. */
const silentMs = 1_000;

/**
 * Nothing is left to ask for, and a source has room: it takes over the rest of the request that would take longest, as much of it as makes
 * both end together; of a last piece it brings a second copy, when it is much faster.
 */
export function findTheft(choice: {
  readonly source: SwarmSource;
  readonly requests: Iterable<SwarmRequest>;
  readonly have: PieceMap;
  readonly asked: Uint8Array;
  /** Of a seed: also from those who have a part. */
  readonly mayAskForHeld: boolean;
  readonly now: number;
}): Theft | undefined {
  const { source, have, asked, now } = choice;
  let best: { theft: Theft; ms: number } | undefined;
  for (const from of choice.requests) {
    if (from.source === source || (from.source.has !== undefined && !choice.mayAskForHeld)) continue;
    const isSilent = now - from.heardAt >= silentMs;
    const theirRate = isSilent ? 0 : from.source.laneRate;
    // What is not known yet is taken to be as fast.
    const ownRate = source.rate === 0 ? theirRate : source.rate / (source.requests.size + 1);
    const left = (from.end - from.next) * pieceBytes - from.partial;
    const ms = theirRate === 0 ? (isSilent ? Number.POSITIVE_INFINITY : 0) : (left * 1000) / theirRate;
    if (best !== undefined && ms <= best.ms) continue;
    const behind = from.end - from.next - 1;
    const share = theirRate === 0 ? 1 : ownRate / (ownRate + theirRate);
    const count = Math.min(behind, Math.floor((behind + 1) * share));
    let first = from.end - count;
    while (first < from.end && !canBring(first)) first++;
    if (count > 0 && first < from.end && allFrom(first, from.end)) {
      // Too soon to say who is slow: only what would take a while.
      if (ms > 250) best = { theft: { run: { first, count: from.end - first }, from, trimTo: first }, ms };
      continue;
    }
    const ownMs = ownRate === 0 ? silentMs : (pieceBytes * 1000) / ownRate;
    if (asked[from.next] === 1 && canBring(from.next) && ms > 2 * ownMs && ms > 250)
      best = { theft: { run: { first: from.next, count: 1 }, from, trimTo: undefined }, ms };
  }
  return best?.theft;

  function canBring(piece: number): boolean {
    return !have.has(piece) && source.hasPiece(piece);
  }
  function allFrom(first: number, end: number): boolean {
    for (let piece = first; piece < end; piece++) if (!canBring(piece)) return false;
    return true;
  }
}
