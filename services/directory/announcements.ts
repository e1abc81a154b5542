import { setImmediate as nextTurn, setTimeout as wait } from 'node:timers/promises';
import type { Delivery, Verdict } from '../bus/bus.ts';
import { AttemptLimiter } from '../lib/attempt-limiter.ts';
import { Failure, messageOf } from '../lib/failure.ts';
import type { MemberId } from '../lib/identity/member-id.ts';
import { Turns } from '../lib/turns.ts';
import { openAnnouncement, parseChanges } from './announcement.ts';
import type { FileIndex } from './file-index.ts';

export interface AnnouncementNeeds {
  readonly index: FileIndex;
  /** Milliseconds, monotonic. */
  readonly clock: () => number;
  readonly warn: (line: string) => void;
  /** Whether it still is one: what it said before it was revoked may still wait. */
  readonly isMember?: (id: MemberId) => boolean;
}

export interface Announcements {
  take(delivery: Delivery): Promise<Verdict>;
  /** How many were refused since the start, by code. */
  readonly refused: ReadonlyMap<string, number>;
}

/** One line per sender and minute. */
const warnings = { burst: 1, refillMs: 60_000, maxKeys: 1_000 };
const retryMs = 1_000;

/**
 * Takes announcements in: on disk before the ack. What is forged or malformed, or has no room, is dropped for good, counted, and
 * said here; a member that signed it finds the reason in the answers to its pings. What fails on our side comes again.
 */
export function createAnnouncements({ index, clock, warn, isMember = () => true }: AnnouncementNeeds): Announcements {
  const refused = new Map<string, number>();
  const warned = new AttemptLimiter(warnings);
  // In order, so that few come in vain; and others get a word in between, for each can take milliseconds.
  const turns = new Turns(1);
  let told = '';

  const refuse = (delivery: Delivery, failure: Failure): void => {
    refused.set(failure.code, (refused.get(failure.code) ?? 0) + 1);
    const sender = delivery.userId ?? '';
    if (warned.waitMs(sender, clock()) > 0) return;
    warned.take(sender, clock());
    warn(`dropped an announcement of ${JSON.stringify(sender.slice(0, 80))}: ${messageOf(failure)} (${failure.code})`);
  };

  const act = (delivery: Delivery): Verdict => {
    let memberId: MemberId | undefined;
    try {
      const opened = openAnnouncement(delivery);
      if (!isMember(opened.memberId)) throw new Failure('ANNOUNCEMENT_STRANGER', 'it is no member (any more)');
      memberId = opened.memberId;
      index.apply(memberId, parseChanges(opened.changes));
      return 'ack';
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      refuse(delivery, error);
      if (memberId !== undefined) index.refuse(memberId, error.message);
      return 'dead';
    }
  };

  return {
    refused,
    take: delivery =>
      turns.take(async () => {
        await nextTurn();
        try {
          const verdict = act(delivery);
          told = '';
          return verdict;
        } catch (error) {
          const line = messageOf(error);
          if (line !== told) warn(`cannot keep an announcement, will try again: ${line}`);
          told = line;
          await wait(retryMs);
          return 'requeue';
        }
      }),
  };
}
