import type { Arc } from './arc.ts';
import type { Ask } from './ask.ts';
import { maxClaimants, maxDigests, maxRetrieved } from './bounds.ts';
import type { Identifier } from './identifier.ts';
import type { Peer } from './peer.ts';
import type { Reconcile, Reconciled } from './ports.ts';
import { type Digest, isHigher, keyOfSlot, type RingRecord } from './record.ts';
import type { RecordStore } from './record-store.ts';

export interface ReconcileContext {
  readonly ask: Ask;
  readonly store: RecordStore;
  readonly now: () => number;
  /** Checks and keeps what another holder had newer. */
  readonly take: (record: RingRecord) => void;
}

/** An arc, and in which role it is compared. */
export interface Claim extends Arc {
  /** This node owns it. */
  readonly isOwner: boolean;
  /** And has learnt what others know of it. */
  readonly isSettled?: boolean;
  /** Take nothing from the other: this node will not keep the arc. */
  readonly isGivenAway?: boolean;
  /** Give nothing to the other: it holds no copies of the arc. */
  readonly isOnlyTaken?: boolean;
}

export interface Compared {
  /** Records that the other would not take. */
  readonly refused: number;
  /** See `Reconciled`. */
  readonly isFresh: boolean;
  readonly claimants: readonly Peer[];
}

interface Page extends Arc {
  readonly digests: readonly Digest[];
}

/** Cuts an arc so that each piece holds no more than fits into one call. All records of one key are in one piece. */
function pagesOf({ from, to }: Arc, digests: readonly (Digest & { readonly key: Identifier })[]): Page[] {
  const pages: Page[] = [];
  let start = from;
  let page: Digest[] = [];
  for (const [at, { key, ...digest }] of digests.entries()) {
    page.push(digest);
    const next = digests[at + 1];
    // A key has 64 providers and a value at most.
    if (next && next.key !== key && page.length >= maxDigests - 65) {
      pages.push({ from: start, to: key, digests: page });
      start = key;
      page = [];
    }
  }
  pages.push({ from: start, to, digests: page });
  return pages;
}

/**
 * Makes one other holder and this one have the same on an arc, the highest version of everything.
 * @returns undefined when it fell silent
 */
export async function reconcile(
  { ask, store, now, take }: ReconcileContext,
  other: Peer,
  arc: Claim,
): Promise<Compared | undefined> {
  const { isOwner, isSettled = false } = arc;
  const claimants = new Map<Identifier, Peer>();
  let isFresh = false;
  let refused = 0;
  for (const { from, to, digests } of pagesOf(arc, store.on(arc.from, arc.to, now()))) {
    for (let left = maxRounds; ; left--) {
      const ours = left === maxRounds ? digests : store.on(from, to, now()).slice(0, maxDigests);
      const page = ours.map(({ slot, counter, writer }) => ({ slot, counter, writer }));
      const reply = await ask(other, 'reconcile', { from, to, digests: page, isOwner, isSettled });
      if (!reply) return undefined;
      isFresh ||= reply.isFresh;
      for (const claimant of reply.claimants.slice(0, maxClaimants)) claimants.set(claimant.id, claimant);
      const newer = arc.isGivenAway ? [] : reply.newer.slice(0, maxDigests);
      for (let at = 0; at < newer.length; at += maxRetrieved) {
        const slots = newer.slice(at, at + maxRetrieved).map(({ slot }) => slot);
        const got = await ask(other, 'retrieve', { slots });
        if (!got) return undefined;
        for (const record of got.records.slice(0, maxRetrieved)) take(record);
      }
      for (const slot of arc.isOnlyTaken ? [] : reply.wanted.slice(0, maxDigests)) {
        const record = store.get(slot, now());
        if (!record) continue;
        const stored = await ask(other, 'store', { record, asOwner: false });
        if (!stored) return undefined;
        if (stored.status === 'refused') refused++;
      }
      if (!reply.isCut || arc.isGivenAway || left <= 1) break;
    }
  }
  return { refused, isFresh, claimants: [...claimants.values()] };
}

/** Of one page: the other may have this many times more than fits into one answer. */
const maxRounds = 8;

/** The other side of it. */
export function compare(
  store: RecordStore,
  { from, to, digests }: Pick<Reconcile, 'from' | 'to' | 'digests'>,
  now: number,
): Pick<Reconciled, 'wanted' | 'newer' | 'isCut'> {
  const theirs = new Map(digests.slice(0, maxDigests).map(digest => [digest.slot, digest]));
  const newer: Digest[] = [];
  let isCut = false;
  for (const { slot, counter, writer } of store.on(from, to, now)) {
    const digest = theirs.get(slot);
    if (isHigher({ counter, writer }, digest)) {
      if (newer.length < maxDigests) newer.push({ slot, counter, writer });
      else isCut = true;
    }
  }
  const wanted = [...theirs.values()]
    .filter(digest => keyOfSlot(digest.slot) !== undefined && isHigher(digest, store.get(digest.slot, now)))
    .map(({ slot }) => slot);
  return { wanted, newer, isCut };
}
