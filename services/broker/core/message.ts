import { type Body, copyBody } from '../amqp/body.ts';

/** A message as the broker holds it: what it needs to route and to judge, the rest as the bytes that came. */
export interface Message {
  readonly exchange: string;
  readonly key: string;
  /** Both as they came, to be sent on. */
  readonly route: Buffer;
  /** The content header's property flags and list, passed through untouched. */
  readonly properties: Buffer;
  readonly body: Body;
  readonly isPersistent: boolean;
  /** The `expiration` property, in milliseconds. */
  readonly expirationMs: number | undefined;
  /** It was dead-lettered before, or that is not known: its `x-death` may be ours. */
  readonly hasDied?: boolean;
  /** The copy that queues keep (`keptOf`), once one of them made it; of that copy, itself. */
  kept?: Message | undefined;
}

/** A message's place in one queue. */
export interface Entry {
  message: Message;
  /** Ascends by arrival: the order of the queue. */
  readonly index: number;
  /** Milliseconds since the epoch. */
  readonly expiresAt: number | undefined;
  redelivered: boolean;
  /** How often it came back. */
  returns: number;
  /** It is in the ledger, and must be settled there. */
  readonly isLogged: boolean;
}

/** About what an entry costs beside its bytes. */
const entryBytes = 300;

/** What an entry takes in memory, about. */
export function entrySize({ message: { properties, body } }: Entry): number {
  return properties.length + body.length + entryBytes;
}

/**
 * A copy of its own, in one buffer; all queues that a message is in share it. A message as it came is a window on a whole chunk from the
 * socket: to keep it queued would keep up to 64 KiB for its sake.
 */
export function keptOf(message: Message): Message {
  message.kept ??= compact(message);
  return message.kept;
}

function compact(message: Message): Message {
  const { route, properties, body } = message;
  const own = Buffer.allocUnsafeSlow(route.length + properties.length + body.length);
  const at = route.copy(own, 0);
  const bodyAt = at + properties.copy(own, at);
  copyBody(body, own, bodyAt);
  const copy = {
    ...message,
    route: own.subarray(0, at),
    properties: own.subarray(at, bodyAt),
    body: own.subarray(bodyAt),
  };
  copy.kept = copy;
  return copy;
}

const nothing = Buffer.alloc(0);

/** What a client still holds of a queue that is gone: a delivery tag, and no bytes. */
export const goneMessage: Message = {
  exchange: '',
  key: '',
  route: nothing,
  properties: nothing,
  body: nothing,
  isPersistent: false,
  expirationMs: undefined,
};
