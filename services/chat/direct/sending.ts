import { backoffMs } from '../../lib/backoff.ts';
import { keptMs } from './bounds.ts';

/** One message, or a receipt, on its way to one member; kept until that one says that it has it. */
export interface Outgoing {
  /** Counts up: what is first goes first. */
  readonly number: number;
  readonly receiver: string;
  /** Times that it did not get into the receiver's queue in a row. */
  readonly attempts: number;
  /** It is in the receiver's queue, as far as is known. */
  readonly isQueued: boolean;
  /** All in milliseconds since 1970, of this machine. */
  readonly dueAt: number;
  readonly madeAt: number;
}

const retry = { firstMs: 1_000, maxMs: 300_000 };
/** Without a word of the receiver it is said again: the queue may have been lost with all that was in it. */
const againMs = 12 * 3_600_000;

export interface Plan<T> {
  /** For each receiver what is to be sent now, in order, each only when the one before has gone. */
  readonly send: ReadonlyMap<string, readonly T[]>;
  /** Tried long enough. */
  readonly giveUp: readonly T[];
  /** When to look again, in milliseconds since 1970; undefined: when there is something new. */
  readonly nextAt: number | undefined;
}

/**
 * What to do about what is on its way. To one receiver nothing overtakes: what waits behind one that is not due waits as well, unless
 * that one is in the queue already.
 */
export function planSending<T extends Outgoing>(all: readonly T[], now: number): Plan<T> {
  const send = new Map<string, T[]>();
  const held = new Set<string>();
  const giveUp: T[] = [];
  let nextAt: number | undefined;
  const wake = (at: number): void => {
    nextAt = Math.min(nextAt ?? at, at);
  };
  for (const one of all.toSorted((a, b) => a.number - b.number)) {
    if (now - one.madeAt >= keptMs) giveUp.push(one);
    else if (held.has(one.receiver)) continue;
    else if (one.dueAt > now) {
      wake(one.dueAt);
      if (!one.isQueued) held.add(one.receiver);
    } else send.set(one.receiver, [...(send.get(one.receiver) ?? []), one]);
  }
  return { send, giveUp, nextAt };
}

/** After it got into the queue. */
export function queuedAt(now: number): number {
  return now + againMs;
}

/** After it did not. @param random uniform in [0, 1) @returns a whole number, if `now` is one */
export function retryAt(attempts: number, now: number, random: () => number): number {
  return now + Math.ceil(backoffMs(attempts, retry, random));
}
