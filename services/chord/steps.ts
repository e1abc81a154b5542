import type { Ask } from './ask.ts';
import { isBetween } from './identifier.ts';
import { type LookupContext, lookup } from './lookup.ts';
import type { Peer } from './peer.ts';
import type { Neighbours } from './ports.ts';
import type { RingState } from './ring-state.ts';
import { behind, withoutHead } from './successor-list.ts';

/** What a step works on. */
export interface RingContext {
  readonly state: RingState;
  readonly ask: Ask;
  readonly lookup: Omit<LookupContext, 'self' | 'ask'>;
  /** It did not answer. */
  readonly suspect: (peer: Peer) => void;
}

/**
 * The procedures that change who a node's neighbours are; everything that the ring's correctness rests on. They are Zave's, and keep her
 * invariant: every member has a living node in its list, and at least r + 1 members are skipped by no list. Each question with its update is
 * atomic: an answer counts only if the list is still the very one that it was asked for.
 */
export interface RingSteps {
  /** @returns whether it is a member now */
  join(context: RingContext, via: readonly Peer[]): Promise<boolean>;
  /** @returns whether the head was found dead, so that the next one should be asked at once */
  stabilize(context: RingContext): Promise<boolean>;
  /** Somebody says that it is our predecessor. */
  rectify(context: RingContext, candidate: Peer): Promise<void>;
}

/** A living node that is silent for as long as this many calls may take counts as dead. */
export const maintenanceTries = 2;

export const zaveSteps: RingSteps = { join, stabilize, rectify };

async function join({ state, ask, lookup: context }: RingContext, via: readonly Peer[]): Promise<boolean> {
  const { self, r, era } = state;
  const found = await lookup({ ...context, ask, self }, self.id, { peers: via, isUnconfirmed: true });
  // The member before us, or one that lies farther back: it knows who comes after it.
  let member = found.predecessor;
  for (let left = context.hopLimit; member && member.id !== self.id && left > 0; left--) {
    const answer: Neighbours | undefined = await ask(member, 'neighbours', {});
    const head = answer?.successors[0];
    if (!head || state.era !== era) return false;
    if (isBetween(member.id, self.id, head.id)) {
      // Its whole list is ours too.
      state.enter(member, answer.successors.slice(0, r));
      return true;
    }
    const { id }: Peer = member;
    const last: Peer | undefined = answer.successors.findLast(peer => isBetween(id, peer.id, self.id));
    // It may still have an earlier life of this very node at the head of its list.
    if (!last) void ask(member, 'nudge', {});
    member = last;
  }
  return false;
}

async function stabilize({ state, ask, suspect }: RingContext): Promise<boolean> {
  const { self, r, era, successors, head } = state;
  const isStill = (list: readonly Peer[]): boolean => state.era === era && state.successors === list;
  const ours = await (head.id === self.id ? state.neighbours : ask(head, 'neighbours', {}, maintenanceTries));
  if (!isStill(successors)) return false;
  if (!ours) {
    state.successors = withoutHead(successors, self, r);
    suspect(head);
    void notify(state, ask);
    return true;
  }
  state.successors = behind(head, ours.successors, r);
  const refreshed = state.successors;
  const newer = ours.predecessor;
  if (newer && isBetween(self.id, newer.id, head.id)) {
    const its = await ask(newer, 'neighbours', {}, maintenanceTries);
    // The head must be the one that named it.
    if (!isStill(refreshed)) return false;
    if (its) state.successors = behind(newer, its.successors, r);
  }
  // Whoever joins has done so once its successor knows.
  await notify(state, ask);
  return false;
}

/** That we are, as far as we know, its predecessor. */
async function notify({ head, self }: RingState, ask: Ask): Promise<void> {
  if (head.id !== self.id) await ask(head, 'notify', {});
}

async function rectify({ state, ask, suspect }: RingContext, candidate: Peer): Promise<void> {
  const { self, era, predecessor } = state;
  if (candidate.id === self.id || candidate.id === predecessor?.id) return;
  if (!predecessor || isBetween(predecessor.id, candidate.id, self.id)) {
    state.predecessor = candidate;
    return;
  }
  const isAlive = await ask(predecessor, 'ping', {}, maintenanceTries);
  if (isAlive || state.era !== era) return;
  // Another may have come meanwhile; or `checkPredecessor` found the same.
  if (state.predecessor && state.predecessor.id !== predecessor.id) return;
  suspect(predecessor);
  state.predecessor = candidate;
}
