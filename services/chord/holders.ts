import type { Lookup } from './lookup.ts';
import type { Peer } from './peer.ts';
import type { RingOptions } from './ports.ts';
import { isKept, type StoreReply } from './record.ts';

/** Who keeps the copies of a key. */
export interface Holders {
  /** The owner first. */
  readonly peers: readonly Peer[];
  /** How many make a majority; the owner must be one of them. */
  readonly needed: number;
  /** There are no more; else the owner does not know all of them for now. */
  readonly isWhole: boolean;
}

/**
 * The owner and the next k − 1, of different members: virtual nodes of one would die together. A ring of fewer members than k, as its list tells,
 * has fewer holders, and so a smaller majority; while a list is only short of nodes a majority of k is needed all the same.
 */
export function holdersOf(
  { owner, successors }: Pick<Lookup, 'owner' | 'successors'>,
  { k, r }: Pick<RingOptions, 'k' | 'r'>,
): Holders {
  const peers = [owner];
  const around = successors.findIndex(({ id }) => id === owner.id);
  for (const peer of around === -1 ? successors : successors.slice(0, around)) {
    if (peers.length >= k) break;
    if (peers.every(({ member }) => member !== peer.member)) peers.push(peer);
  }
  const isWhole = peers.length >= k || around !== -1 || successors.length >= r;
  const size = isWhole ? peers.length : k;
  return { peers, needed: Math.floor(size / 2) + 1, isWhole };
}

/** A majority has it, the owner among them. @param replies by their place in `peers` */
export function isAcknowledged(
  replies: readonly (StoreReply | undefined)[],
  { needed }: Pick<Holders, 'needed'>,
): boolean {
  return isKept(replies[0]) && replies.filter(isKept).length >= needed;
}

/**
 * All at once; ends as soon as what has come is enough, or nothing more will.
 * @param isEnough of those that have come so far, by their place in `asked`; those that failed are undefined
 */
export function gather<T>(
  asked: readonly Promise<T | undefined>[],
  isEnough: (came: readonly (T | undefined)[]) => boolean,
): Promise<readonly (T | undefined)[]> {
  return new Promise(resolve => {
    const came: (T | undefined)[] = asked.map(() => undefined);
    let left = asked.length;
    const settle = (at: number, reply: T | undefined): void => {
      came[at] = reply;
      left--;
      if (left === 0 || isEnough(came)) resolve([...came]);
    };
    if (left === 0) resolve([]);
    for (const [at, promise] of asked.entries())
      promise.then(
        reply => settle(at, reply),
        () => settle(at, undefined),
      );
  });
}
