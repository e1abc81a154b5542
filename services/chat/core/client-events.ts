import type { MemberId } from '../../lib/identity/member-id.ts';
import type { Read } from './chat-log.ts';
import type { Input, Operation, RefusalCode } from './entry.ts';

/** Something said, until it is seen in the log. Kept on the disk from when it was said. */
export interface OutboxItem {
  /** Rises, for as long as there is an outbox. */
  readonly id: number;
  readonly operation: Operation;
  readonly sentAtMs: number;
  /** As which input it was published last; undefined: not yet. */
  readonly as: { readonly session: number; readonly counter: number } | undefined;
}

/** All times: milliseconds of the machine's monotonic clock; `sentAtMs` of its time of day. */
export type ClientEvent =
  /** Once, before all others. */
  | { readonly kind: 'start'; readonly now: number }
  | { readonly kind: 'say'; readonly operation: Operation; readonly sentAtMs: number; readonly now: number }
  /** The log was read on (`ChatLog.read`): each read in order, once. */
  | { readonly kind: 'read'; readonly read: Read; readonly now: number }
  /** Inputs can be published. */
  | { readonly kind: 'connected'; readonly now: number }
  /** What was not confirmed may be lost. */
  | { readonly kind: 'disconnected' }
  /** Every 50 ms or so. */
  | { readonly kind: 'tick'; readonly now: number };

export type ClientEffect =
  /** Write it to the outbox, over one of the same id. Before what is published after it. */
  | { readonly kind: 'store'; readonly item: OutboxItem }
  /** Sign it and publish it to the input, in the order of these effects on one channel, persistent. */
  | { readonly kind: 'publish'; readonly input: Omit<Input, 'proof'> }
  /** It stands in the log: out of the outbox. `seq` undefined: in a part that has been cut. */
  | { readonly kind: 'written'; readonly id: number; readonly seq: number | undefined }
  /** It will not be done; for its sender. `forged`: the server wrote something else in its place. */
  | { readonly kind: 'refused'; readonly id: number; readonly reason: RefusalCode | 'forged' }
  /** It is not taken, so not in the outbox: beyond a bound, or there is no room for it. */
  | { readonly kind: 'turned-away'; readonly reason: RefusalCode | 'outbox-full' };

export interface ClientOptions {
  /** Items in the outbox at most. */
  readonly maxItems: number;
  /** What is published and not seen for so long is published again, then after twice that, and so on up to a minute. */
  readonly resendMs: number;
  /** How fast it publishes: less than servers take (`ServerOptions`). */
  readonly perSecond: number;
  readonly burst: number;
}

export const clientDefaults: ClientOptions = { maxItems: 10_000, resendMs: 3_000, perSecond: 100, burst: 500 };

export interface ClientPorts {
  readonly self: MemberId;
  /** 32 random bits. */
  readonly random32: () => number;
}
