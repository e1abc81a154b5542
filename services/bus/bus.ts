import type { Binding, MessageType, QueueSpec, Role } from './topology.ts';

/**
 * What a handler says of a delivery: `ack` (done), `requeue` (somebody else, or later), `dead` (never again: to the
 * dead-letter exchange if the queue has one, else dropped).
 */
export type Verdict = 'ack' | 'requeue' | 'dead';

export interface Outgoing {
  readonly type: MessageType;
  readonly key: string;
  readonly body: Uint8Array;
  /** Made when absent. The receiver drops repeats by it. */
  readonly messageId?: string;
  readonly correlationId?: string;
  readonly replyTo?: string;
  /** Milliseconds until the broker drops it undelivered. */
  readonly expirationMs?: number;
  /** Of `publish`: it rejects with BUS_NO_RECEIVER when there is no queue that takes it. */
  readonly mustRoute?: true;
  /** W3C trace context; a new one is made when absent. */
  readonly traceparent?: string;
}

export interface Delivery {
  readonly type: string;
  readonly key: string;
  readonly body: Buffer;
  readonly messageId: string;
  readonly correlationId: string | undefined;
  readonly replyTo: string | undefined;
  /** The sender's broker account, checked by the broker; undefined when the sender did not say. */
  readonly userId: string | undefined;
  readonly redelivered: boolean;
  readonly traceparent: string | undefined;
  /** Offset in a stream; undefined from other queues. */
  readonly offset: bigint | undefined;
  /** Of the entry that the same reading of the stream has delivered directly before it. */
  readonly after?: bigint | undefined;
  /** It came by a way that the queue is not bound to (`ConsumeOptions.takesStrays`): nothing else of it is to be believed. */
  readonly isStray?: true;
}

/**
 * `connecting`: no session, trying. `up`: both connections open, topology declared, consumers running. `blocked`: as
 * up, but the broker takes no publishes (memory or disk alarm). `closed`: by us, for good.
 */
export type BusState = 'connecting' | 'up' | 'blocked' | 'closed';

export interface ConsumeOptions {
  /** Deliveries held unacked at most; required unless `noAck`. */
  readonly prefetch?: number;
  /** The broker forgets what it delivers; the handler's verdict is ignored. */
  readonly noAck?: boolean;
  /** Where to start in a stream, on the first session; later sessions go on behind the last delivery handled. */
  readonly offset?: 'first' | 'last' | 'next' | bigint;
  /** Later sessions begin with the last delivery handled, once more, and not behind it: whoever gets it sees that nothing is between. */
  readonly overlaps?: true;
  /**
   * Bindings made on each session, for a queue named by the server. For another queue that the role does not know: those that who
   * declares it has made; what came otherwise is dropped.
   */
  readonly bindings?: (queueName: string) => readonly Binding[];
  /**
   * How `close` ends it. `cancel` (unless told otherwise): it takes no more, and waits for the handlers that run. `channel`: it closes
   * the channel at once, so that all that has no verdict yet goes back to the queue in its place, before anybody else gets more; what
   * handlers say later is void. After `basic.cancel` a single active consumer's successor would begin behind what is unacked.
   */
  readonly ending?: 'cancel' | 'channel';
  /**
   * Given, it consumes on one channel only: when the broker or the connection ends that, this is called, once, and it does not begin
   * again; while there is no connection `consume` rejects with BUS_LOST. Not called after `close`.
   */
  readonly onEnd?: () => void;
  /**
   * The bus is up without it, when its queue is not there (yet), or is not to be consumed: it is tried again and again. Otherwise the session
   * is not begun.
   */
  readonly isOptional?: true;
  /** What came by a way that the queue is not bound to is given to the handler as well, marked `isStray`. */
  readonly takesStrays?: true;
  /** Called on each session when the queue's name is known and it is consumed, before the bus is up. */
  readonly onQueue?: (queueName: string) => void;
}

export interface RequestOptions {
  readonly deadlineMs: number;
  readonly signal?: AbortSignal;
  /** The broker account whose answer counts; without it anybody's, who then would have to know the question's unguessable id. */
  readonly from?: string;
}

export interface Consumer {
  /** Takes no more deliveries, waits until the handlers that run have given their verdicts, and closes; see `ConsumeOptions.ending`. */
  close(): Promise<void>;
}

/** One process's place on the bus. All promises reject with a `Failure` whose code begins with `BUS_`. */
export interface Bus {
  readonly state: BusState;
  /** The broker account, which every message carries as `userId`. */
  readonly user: string;
  /** Why the state is what it is, in words. */
  readonly reason: string;
  onState(listener: (state: BusState, reason: string) => void): () => void;
  /** Resolves when up; rejects when the signal aborts, the bus closes, or the broker refuses for good (login, rights). */
  ready(signal?: AbortSignal): Promise<void>;
  /** Fire and forget. False: not sent, because the bus is not up or the broker takes no publishes. */
  send(message: Outgoing): boolean;
  /**
   * Sends and waits for the broker's confirm. What a lost connection left unconfirmed is sent again with the same
   * `messageId`, until the signal aborts.
   */
  publish(message: Outgoing, signal?: AbortSignal): Promise<void>;
  consume(
    queue: QueueSpec,
    handler: (delivery: Delivery) => Verdict | Promise<Verdict>,
    options: ConsumeOptions,
  ): Promise<Consumer>;
  /** Calls whoever consumes `key` on `m` and waits for the answer. Rejects with BUS_DEADLINE after `deadlineMs`. */
  request(message: Outgoing, options: RequestOptions): Promise<Delivery>;
  /** Messages ready and consumers of a shared queue, by passive declare. */
  depth(queueName: string): Promise<{ messages: number; consumers: number }>;
  /** Closes consumers, waits for outstanding confirms, closes both connections; all of it within `drainMs`. */
  close(drainMs?: number): Promise<void>;
}

export interface BusOptions {
  /** Tried in turn, each with its own account. amqp:// or amqps://. */
  readonly urls: readonly string[];
  /** Shown in the broker's connection list. */
  readonly name: string;
  readonly role: Role;
}
