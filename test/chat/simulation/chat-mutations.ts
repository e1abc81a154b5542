import { logRule } from '../../../services/chat/core/rule.ts';
import type { Mutation } from './world.ts';

/** What is known to be wrong, one at a time: the simulator must find each. */
export const chatMutations: ReadonlyMap<string, Mutation> = new Map<string, Mutation>([
  ['any EPOCH accepted', { rule: { isNextEpoch: () => true } }],
  [
    'entries of a stale epoch accepted',
    {
      rule: {
        problemOfEpoch: (state, epoch, from) =>
          epoch < state.epoch ? undefined : logRule.problemOfEpoch(state, epoch, from),
      },
    },
  ],
  ['an ack before the own entry is seen to count', { steps: { acksEarly: true } }],
  [
    'a higher counter appended early',
    { steps: { appendsAhead: true }, rule: { isInOrder: place => place === 'next' || place === 'ahead' } },
  ],
  ['no checkpoint before retention', { steps: { writesCheckpoints: false } }],
  ['basic.cancel instead of closing the channel', { cancels: true }],
]);
