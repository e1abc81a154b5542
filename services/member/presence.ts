import type { Bus } from '../bus/bus.ts';
import { backoffMs } from '../lib/backoff.ts';
import { messageOf } from '../lib/failure.ts';
import { pause } from '../lib/pause.ts';
import type { ReachRecord } from './reach.ts';

export interface PresenceNeeds {
  readonly bus: Bus;
  /** Says that we are there, and where. */
  readonly announce: (addresses: readonly string[], signal: AbortSignal) => Promise<{ leaseMs: number }>;
  /** Whether `announce` needs the bus: then nothing is tried while it is away. */
  readonly isOverBus: boolean;
  readonly addresses: () => Promise<readonly string[]>;
  readonly reach: ReachRecord;
  readonly clock: () => number;
  readonly random: () => number;
  readonly warn: (line: string) => void;
}

const retryBounds = { firstMs: 500, maxMs: 5_000 };

/** Keeps this member among the active ones: pings the directory three times a lease, and at once when the broker is back. */
export function startPresence(needs: PresenceNeeds): { close(): Promise<void> } {
  const { bus, announce, isOverBus, addresses, reach, clock, random, warn } = needs;
  const ending = new AbortController();
  let wake = new AbortController();
  const offState = bus.onState(state => {
    if (state === 'up') wake.abort();
    else if (isOverBus && state === 'connecting') reach.lost('there is no broker');
  });

  const loop = async (): Promise<void> => {
    let failures = 0;
    let warned = '';
    while (!ending.signal.aborted) {
      let waitMs: number;
      try {
        // Waits for its turn, and is not asked for in vain.
        if (isOverBus) await bus.ready(ending.signal);
        const sentAt = clock();
        const { leaseMs } = await announce(await addresses(), ending.signal);
        reach.reached(clock() - sentAt);
        failures = 0;
        if (warned !== '') warn('the directory answers again');
        warned = '';
        waitMs = leaseMs / 3;
      } catch (error) {
        if (ending.signal.aborted) break;
        const reason = messageOf(error);
        reach.lost(reason);
        if (reason !== warned && (bus.state === 'up' || !isOverBus))
          warn(`the directory does not take our ping: ${reason}`);
        warned = reason;
        waitMs = backoffMs(failures++, retryBounds, random);
      }
      wake = new AbortController();
      await pause(waitMs, AbortSignal.any([ending.signal, wake.signal]));
    }
  };
  const running = loop();
  return {
    async close() {
      offState();
      ending.abort();
      await running;
    },
  };
}
