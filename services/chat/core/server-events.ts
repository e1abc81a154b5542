import type { MemberId } from '../../lib/identity/member-id.ts';
import type { Read } from './chat-log.ts';
import type { Snapshot } from './chat-state.ts';
import type { Entry, Input } from './entry.ts';
import type { HandOver } from './hand-over.ts';

/**
 * - `latent`: reads the log, and consumes no input.
 * - `standby`: consumes the input behind another one, as far as it knows: nothing has been delivered yet.
 * - `claiming`: something was delivered, or the one before has frozen; it has appended the next EPOCH. What is delivered waits.
 * - `active`: its EPOCH counts. Appends what is delivered, and acks what it has seen count.
 * - `freezing`: closes its input channel, and waits for the EPOCH of the one it has handed over to.
 * - `void`: has no say any more, and closes its input channel.
 */
export type ServerMode = 'latent' | 'standby' | 'claiming' | 'active' | 'freezing' | 'void';

/** All times: milliseconds of the machine's monotonic clock. */
export type ServerEvent =
  /** Once, before all others. */
  | { readonly kind: 'start'; readonly now: number }
  /** The log was read on (`ChatLog.read`): each read in order, all of them before anything else. */
  | { readonly kind: 'read'; readonly read: Read; readonly now: number }
  | {
      readonly kind: 'delivery';
      /** As in `consume`. */
      readonly channel: number;
      readonly tag: number;
      /** The publisher, as the broker has checked it. */
      readonly from: MemberId | undefined;
      readonly content: Content;
      readonly now: number;
    }
  /** After `close`; or by itself, when the broker or the connection has ended it, or it could not be opened. All its deliveries go back to the queue. */
  | { readonly kind: 'channel-closed'; readonly channel: number; readonly now: number }
  | { readonly kind: 'hand-over'; readonly from: MemberId; readonly message: HandOver; readonly now: number }
  /** Answer to `pick`. Undefined: there is none, or naming is away, for which `why` has words. */
  | { readonly kind: 'picked'; readonly latent: MemberId | undefined; readonly why?: string; readonly now: number }
  /** Naming's record has that epoch, or a later one. */
  | { readonly kind: 'recorded'; readonly epoch: number }
  | { readonly kind: 'beat'; readonly from: MemberId; readonly epoch: number; readonly now: number }
  /** How many members are there now. */
  | { readonly kind: 'present'; readonly count: number; readonly now: number }
  /** Hand over as soon as there is somebody: because this one is to stop. */
  | { readonly kind: 'migrate'; readonly now: number }
  /** Every 50 ms or so; the finer, the sooner it notices that time has passed. */
  | { readonly kind: 'tick'; readonly now: number };

export type Content = Input | 'nudge' | 'unreadable';

export type ServerEffect =
  /** Publish to the log, persistent, in the order of these effects; sent again when the broker has not confirmed it. */
  | { readonly kind: 'append'; readonly entry: Entry }
  /** Open a channel with the prefetch of the options and consume the input on it, with single active consumer. */
  | { readonly kind: 'consume'; readonly channel: number }
  /** Close that channel as it is: no `basic.cancel`, no ack. */
  | { readonly kind: 'close'; readonly channel: number }
  | { readonly kind: 'ack'; readonly channel: number; readonly tag: number }
  /** Publish a nudge to the input, after the consume before it. */
  | { readonly kind: 'nudge' }
  | { readonly kind: 'hand-over'; readonly to: MemberId; readonly message: HandOver }
  /** Ask naming for a random caught-up latent. */
  | { readonly kind: 'pick'; readonly except: readonly MemberId[] }
  /** `ChatLog.adopt`, and its reads back as events. */
  | { readonly kind: 'adopt'; readonly snapshot: Snapshot }
  /** Compare-and-set in naming. Comes again until it is `recorded`. */
  | {
      readonly kind: 'record';
      readonly epoch: number;
      readonly expectedEpoch: number;
      readonly migrationId: string;
      readonly logOffset: number;
    }
  /** Tell servers and clients who serves. */
  | { readonly kind: 'beat'; readonly epoch: number; readonly logOffset: number }
  | { readonly kind: 'mode'; readonly mode: ServerMode; readonly why: string }
  /** Forget what it held: so many deliveries, which the queue has again. */
  | { readonly kind: 'purge'; readonly count: number }
  /** One line, for people. */
  | { readonly kind: 'say'; readonly line: string };

export interface ServerOptions {
  /** Started with `-s`: begins the first epoch, where nobody has. */
  readonly isFounder: boolean;
  /** Members that have to be present before anybody talks; counts only in the first epoch. */
  readonly minN: number;
  /** Without a sign of the active one for so long it counts as gone. */
  readonly leaseMs: number;
  /** 0: never. */
  readonly migrateEveryMs: number;
  /** Deliveries unacked at most. More than `sessionWindow`. */
  readonly prefetch: number;
  /** Of one member. The burst is more than `sessionWindow`. */
  readonly perSecond: number;
  readonly burst: number;
  readonly checkpoint: CheckpointLimits;
}

/** A checkpoint is written when the log has grown by that much since the last one. Retention has to leave several times as much. */
export interface CheckpointLimits {
  readonly entries: number;
  /** Octets. */
  readonly size: number;
  readonly ageMs: number;
}

export const serverDefaults: ServerOptions = {
  ...{ isFounder: false, minN: 0, leaseMs: 3_000, migrateEveryMs: 30_000, prefetch: 256, perSecond: 200, burst: 1_000 },
  checkpoint: { entries: 10_000, size: 4 * 1024 * 1024, ageMs: 3_600_000 },
};
