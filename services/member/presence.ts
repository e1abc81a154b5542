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
  /** Logged out: nothing is announced until `enter`. */
  readonly isOut: boolean;
  readonly reach: ReachRecord;
  readonly clock: () => number;
  readonly random: () => number;
  readonly warn: (line: string) => void;
}

export interface Presence {
  readonly isOut: boolean;
  /** Announces at once, and from then on. @throws what `announce` throws; it is tried again all the same */
  enter(signal: AbortSignal): Promise<{ leaseMs: number }>;
  /** Announces no more; resolves when none is on its way. */
  leave(): Promise<void>;
  close(): Promise<void>;
}

const loggedOut = 'logged out';

/** While logged out, milliseconds between looks; `enter` wakes it. */
const idleMs = 60_000;
const retryBounds = { firstMs: 500, maxMs: 5_000 };

/** Keeps this member among the active ones: pings the directory three times a lease, and at once when the broker is back. */
export function startPresence(needs: PresenceNeeds): Presence {
  const { bus, announce, isOverBus, addresses, reach, clock, random, warn } = needs;
  const ending = new AbortController();
  let isOut = needs.isOut;
  if (isOut) reach.lost(loggedOut);
  let wake = new AbortController();
  let announcing: Promise<unknown> = Promise.resolve();
  const offState = bus.onState(state => {
    if (state === 'up') wake.abort();
    else if (isOverBus && state === 'connecting' && !isOut) reach.lost('there is no broker');
  });

  const announceNow = (signal: AbortSignal): Promise<{ leaseMs: number }> => {
    const once = async (): Promise<{ leaseMs: number }> => {
      const sentAt = clock();
      const answer = await announce(await addresses(), signal);
      if (!isOut) reach.reached(clock() - sentAt);
      return answer;
    };
    const running = once();
    announcing = Promise.all([announcing, running]).catch(() => {});
    return running;
  };

  const loop = async (): Promise<void> => {
    let failures = 0;
    let warned = '';
    while (!ending.signal.aborted) {
      let waitMs: number;
      try {
        // Waits for its turn, and is not asked for in vain.
        if (isOverBus) await bus.ready(ending.signal);
        waitMs = isOut ? idleMs : (await announceNow(ending.signal)).leaseMs / 3;
        failures = 0;
        if (warned !== '') warn('the directory answers again');
        warned = '';
      } catch (error) {
        if (ending.signal.aborted) break;
        const reason = messageOf(error);
        if (!isOut) reach.lost(reason);
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
    get isOut() {
      return isOut;
    },
    enter(signal) {
      isOut = false;
      const entered = announceNow(signal);
      // The next one at its time, counted from now.
      entered.then(
        () => wake.abort(),
        error => {
          if (!isOut) reach.lost(messageOf(error));
          wake.abort();
        },
      );
      return entered;
    },
    async leave() {
      isOut = true;
      reach.lost(loggedOut);
      await announcing;
      // One that was on its way may have said otherwise.
      reach.lost(loggedOut);
    },
    async close() {
      offState();
      ending.abort();
      await running;
    },
  };
}
