import { isBetween } from '../../../services/chord/identifier.ts';
import { lookup } from '../../../services/chord/lookup.ts';
import type { Peer } from '../../../services/chord/peer.ts';
import { maintenanceTries, type RingContext, type RingSteps, zaveSteps } from '../../../services/chord/steps.ts';
import { behind, withoutHead } from '../../../services/chord/successor-list.ts';

/** Steps that are known to be wrong: the simulator must find each of them. */

function notify({ state, ask }: RingContext): void {
  if (state.head.id !== state.self.id) void ask(state.head, 'notify', {});
}

/** As in the paper: only the successor is learnt, and nothing of who comes after it. */
async function joinOfThePaper({ state, ask, lookup: context }: RingContext, via: readonly Peer[]): Promise<boolean> {
  const { self } = state;
  const found = await lookup({ ...context, ask, self }, self.id, { peers: via, isUnconfirmed: true });
  if (found.owner.id === self.id) return false;
  state.enter(undefined, [found.owner]);
  return true;
}

/** As in the paper: the successor's predecessor becomes the successor, whether it lives or not, and takes the place of the old one. */
async function stabilizeOfThePaper(context: RingContext): Promise<boolean> {
  const { state, ask } = context;
  const { self, r, successors, head } = state;
  const its = await (head.id === self.id ? state.neighbours : ask(head, 'neighbours', {}, maintenanceTries));
  if (!its) {
    state.successors = withoutHead(successors, self, r);
    return true;
  }
  const newer = its.predecessor;
  if (newer && isBetween(self.id, newer.id, head.id))
    state.successors = [newer, ...behind(head, its.successors, r).slice(1)];
  else state.successors = behind(head, its.successors, r);
  notify(context);
  return false;
}

/** Two rounds at once, each of which takes what it was told for what is, however long ago it asked, and whoever the head is by now. */
async function stabilizeWithoutAtomicity(context: RingContext): Promise<boolean> {
  const round = async (): Promise<boolean> => {
    const { state, ask } = context;
    const { self, r, successors, head } = state;
    const its = await (head.id === self.id ? state.neighbours : ask(head, 'neighbours', {}, maintenanceTries));
    if (!its) {
      state.successors = withoutHead(successors, self, r);
      return true;
    }
    state.successors = behind(head, its.successors, r);
    const newer = its.predecessor;
    if (newer && isBetween(self.id, newer.id, head.id)) {
      const second = await ask(newer, 'neighbours', {}, maintenanceTries);
      if (second) state.successors = behind(newer, second.successors, r);
    }
    notify(context);
    return false;
  };
  const [first, second] = await Promise.all([round(), round()]);
  return first || second;
}

/** Dead heads go, and nobody takes their place at the end. */
async function stabilizeWithoutRefilling(context: RingContext): Promise<boolean> {
  const { state, ask } = context;
  const { self, r, era, successors, head } = state;
  const its = await (head.id === self.id ? state.neighbours : ask(head, 'neighbours', {}, maintenanceTries));
  if (state.era !== era || state.successors !== successors) return false;
  if (!its) {
    state.successors = withoutHead(successors, self, r);
    notify(context);
    return true;
  }
  const newer = its.predecessor;
  if (newer && isBetween(self.id, newer.id, head.id) && (await ask(newer, 'ping', {}, maintenanceTries))) {
    if (state.successors !== successors) return false;
    state.successors = [newer, ...successors].slice(0, r);
  }
  notify(context);
  return false;
}

export const ringMutations: ReadonlyMap<string, RingSteps> = new Map([
  ['the join of the paper', { ...zaveSteps, join: joinOfThePaper }],
  ['the stabilize of the paper', { ...zaveSteps, stabilize: stabilizeOfThePaper }],
  ['a stabilize that is not atomic', { ...zaveSteps, stabilize: stabilizeWithoutAtomicity }],
  ['a list that is not refilled', { ...zaveSteps, stabilize: stabilizeWithoutRefilling }],
]);
