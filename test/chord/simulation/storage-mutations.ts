import type { Fetched, Reconciled, RingCall, RingCalls } from '../../../services/chord/ports.ts';
import type { Process } from './network.ts';

/** Nodes that store wrongly: the simulator must find each. */

type Answer = (call: RingCall, request: RingCalls[RingCall]['request'], answer: () => unknown) => unknown;

function around(change: Answer): (process: Process) => Process {
  return process =>
    ((call: RingCall, request: never, from) => change(call, request, () => process(call, request, from))) as Process;
}

export const storageMutations: ReadonlyMap<string, (process: Process) => Process> = new Map([
  [
    'a put that is acknowledged when only the owner has it',
    around((call, request, answer) =>
      call === 'store' && !(request as RingCalls['store']['request']).asOwner ? { status: 'stored' } : answer(),
    ),
  ],
  [
    'copies that nobody compares after a change',
    around((call, _, answer) =>
      call === 'reconcile'
        ? ({ wanted: [], newer: [], isCut: false, isFresh: false, claimants: [] } satisfies Reconciled)
        : answer(),
    ),
  ],
  [
    'an owner that answers before it has learnt what the others know',
    around((call, _, answer) => (call === 'fetch' ? { ...(answer() as Fetched), isSettledOwner: true } : answer())),
  ],
]);
