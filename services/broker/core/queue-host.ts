import type { Entry, Message } from './message.ts';
import type { Clock } from './ports.ts';
import type { MessageQueue } from './queue.ts';

/** Why a message leaves a queue for its dead-letter exchange. */
export type DeadReason = 'rejected' | 'expired' | 'maxlen' | 'delivery_limit';

/** A consumer as its queue sees it. */
export interface QueueConsumer {
  readonly noAck: boolean;
  readonly exclusive: boolean;
  /** Prefetch and socket have room for one more. */
  hasCredit(): boolean;
  deliver(entry: Entry, queue: MessageQueue): void;
  /** The queue has gone. */
  cancelled(): void;
}

/** What a queue needs of its broker, beside the time. */
export interface QueueHost extends Clock {
  /** Sends it to the dead-letter exchange, if there is one; only then calls `buried`. */
  deadLetter(queue: MessageQueue, message: Message, reason: DeadReason, buried: () => void): void;
  logged(queue: MessageQueue, entry: Entry): void;
  settled(queue: MessageQueue, entry: Entry): void;
  /** It came back unacknowledged: for the delivery limit, and to be a redelivery also after a restart. */
  returned(queue: MessageQueue, entry: Entry): void;
  /** Bytes that are held now more (or, negative, less). */
  held(bytes: number): void;
  /** It has had no use for `x-expires`, or its last consumer went (`auto-delete`). */
  expired(queue: MessageQueue): void;
}

/** A message that was in the queue before a restart. */
export interface KeptMessage {
  readonly index: number;
  readonly message: Message;
  readonly expiresAt: number | undefined;
  readonly returns: number;
  /** It was delivered before, or may have been. */
  readonly redelivered: boolean;
}
