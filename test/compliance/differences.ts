import type { BrokerName } from './which-broker.ts';
import type { Refusal } from './wire/peer.ts';
import type { Table } from './wire/table.ts';

/**
 * One suite of behaviours for every broker that Warren runs on: RabbitMQ 3.10, RabbitMQ 4.0 and the embedded broker.
 * Where they are known to differ stands here, as data: the tests expect exactly this of each, so a difference that is
 * not written here fails, and so does one that has gone. What the embedded broker does otherwise than both has its
 * reason here and in docs/embedded-broker.md.
 *
 * Which broker it is says its `product` in `connection.start` (`which-broker.ts`): any but `RabbitMQ` is the embedded
 * one. Most tests speak through a raw `Peer` (`wire/`), which sees the very frames and may misbehave; the codec there is
 * apart from the broker's on purpose. Others use amqplib, as Warren does. Against one broker:
 *
 *     WARREN_BROKER_URL=amqp://user:password@127.0.0.1:5672 npx vitest run --project configured test/compliance
 *
 * Permissions and persistence take a broker of their own (`ownBroker`); `accounts.ts` says how accounts are made on it.
 */
export interface Difference<T> extends Readonly<Record<BrokerName, T>> {
  readonly why: string;
}

export const unknownExchangeType: Difference<Pick<Refusal, 'scope' | 'code'>> = {
  why: '4.0 takes it for a mistake of one channel; the embedded broker does as the newer',
  '3.10': { scope: 'connection', code: 503 },
  '4.0': { scope: 'channel', code: 406 },
  embedded: { scope: 'channel', code: 406 },
};

export const otherProtocolAnswer: Difference<string> = {
  why: '4.0 speaks AMQP 1.0 too and answers with its SASL header (3.1.0.0)',
  '3.10': '0.0.9.1',
  '4.0': '3.1.0.0',
  embedded: '0.0.9.1',
};

export const deliveryMode3: Difference<Pick<Refusal, 'scope' | 'code' | 'text' | 'method'> | undefined> = {
  why: '4.0 takes any other number for transient',
  '3.10': {
    scope: 'channel',
    code: 406,
    text: 'PRECONDITION_FAILED - invalid message: {delivery_mode_unknown,3}',
    method: 'basic.publish',
  },
  '4.0': undefined,
  embedded: undefined,
};

export const queueTypeAdded: Difference<string> = {
  why: '4.0 compares types of queues with the default filled in; the embedded broker does as the newer',
  '3.10': "received the value 'quorum' of type 'longstr' but current is none",
  '4.0': "received 'quorum' but current is 'classic'",
  embedded: "received 'quorum' but current is 'classic'",
};

export const queueTypeRemoved: Difference<string> = {
  why: queueTypeAdded.why,
  '3.10': "received none but current is the value 'stream' of type 'longstr'",
  '4.0': "received 'classic' but current is 'stream'",
  embedded: "received 'classic' but current is 'stream'",
};

export const hasLastDeath: Difference<boolean> = {
  why: 'x-last-death-queue, -reason and -exchange came with 4.0; the embedded broker does as the newer',
  '3.10': false,
  '4.0': true,
  embedded: true,
};

/** What the broker counts in x-death when a message comes with a count of 5. */
export const forgedDeath: Difference<number> = {
  why: '3.10 goes on from what stands there, 4.0 from what it knows; the embedded broker does as the newer',
  '3.10': 6,
  '4.0': 1,
  embedded: 1,
};

/** Whether an `x-dead-letter-routing-key` of more than 255 octets is taken. */
export const takesLongDeadLetterKey: Difference<boolean> = {
  why: 'no message can be sent on with it; the embedded broker says so when the queue is declared',
  '3.10': true,
  '4.0': true,
  embedded: false,
};

/** Deliveries until the message was dead. */
export const deliveryLimitByDefault: Difference<number | 'no limit'> = {
  why: 'quorum queues of 4.0 return a message 20 times unless told otherwise; the embedded broker does as the newer',
  '3.10': 'no limit',
  '4.0': 21,
  embedded: 21,
};

/** Deliveries until the message was dead. */
export const deliveryLimitMinusOne: Difference<number | 'no limit'> = {
  why: '3.10 takes any negative limit as exceeded at once, 4.0 -1 as none; the embedded broker does as the newer',
  '3.10': 1,
  '4.0': 'no limit',
  embedded: 'no limit',
};

export const deliveryCountOfFirstGet: Difference<number | undefined> = {
  why: '3.10 puts x-delivery-count: 0 on what basic.get takes for the first time',
  '3.10': 0,
  '4.0': undefined,
  embedded: undefined,
};

/** Of three consumers, how many a quorum queue with a single active one counts. */
export const consumersOfSingleActiveQuorum: Difference<number> = {
  why: 'quorum queues count only the active one, classic queues all; the embedded broker counts all in both',
  '3.10': 1,
  '4.0': 1,
  embedded: 3,
};

/** Whether a mandatory reply by direct reply-to that reaches its asker comes back as unroutable all the same. */
export const deliveredReplyIsReturned: Difference<boolean> = {
  why: 'RabbitMQ looks for a queue of that name, finds none, and returns what it has delivered; the embedded broker knows',
  '3.10': true,
  '4.0': true,
  embedded: false,
};

/** Bytes of body that a message may have. Of 3.10 a test would need to send 128 MiB. */
export const largestBody: Difference<number | undefined> = {
  why: 'max_message_size is 128 MiB in 3.x and 16 MiB from 4.0; the embedded broker does as the newer',
  '3.10': undefined,
  '4.0': 16 * 2 ** 20,
  embedded: 16 * 2 ** 20,
};

/** What RabbitMQ has and Warren never uses: the embedded broker says 540, and docs/embedded-broker.md lists it. */
export const notForWarren: Difference<'done' | 540> = {
  why: 'never used by the topology: less to be wrong in',
  '3.10': 'done',
  '4.0': 'done',
  embedded: 540,
};

/** Of a, b, c, d, e: a, b and c were returned. */
export const returnedWithoutLimit: Difference<readonly string[]> = {
  why: 'without x-delivery-limit 3.10 puts what is returned at the end of a quorum queue, 4.0 at its head',
  '3.10': ['d', 'e', 'aR', 'bR', 'cR'],
  '4.0': ['aR', 'bR', 'cR', 'd', 'e'],
  embedded: ['aR', 'bR', 'cR', 'd', 'e'],
};

/** Names of headers that were sent as b, c, a. */
export const headersInOrder: Difference<readonly string[]> = {
  why: '4.0 sorts headers by name on their way through its own format of messages',
  '3.10': ['b', 'c', 'a'],
  '4.0': ['a', 'b', 'c'],
  embedded: ['b', 'c', 'a'],
};

export const noPrefetchOnStream: Difference<string> = {
  why: 'another wording; the embedded broker takes the newer',
  '3.10': "consumer prefetch count is not set for 'queue 'Q' in vhost 'V''",
  '4.0': "consumer prefetch count is not set for stream queue 'Q' in vhost 'V'",
  embedded: "consumer prefetch count is not set for stream queue 'Q' in vhost 'V'",
};

export const badStreamOffset: Difference<Pick<Refusal, 'scope' | 'code'>> = {
  why: "RabbitMQ stumbles over it and closes the connection as its own fault; to the embedded broker it is the channel's",
  '3.10': { scope: 'connection', code: 541 },
  '4.0': { scope: 'connection', code: 541 },
  embedded: { scope: 'channel', code: 406 },
};

export const streamKeepsToPrefetch: Difference<boolean> = {
  why: '3.10 sends the whole chunk that was written at once, however few were asked for',
  '3.10': false,
  '4.0': true,
  embedded: true,
};

export const rejectOnStream: Difference<'as ack' | 540> = {
  why: '4.0 takes it for an ack, as nothing can go back; the embedded broker does as the newer',
  '3.10': 540,
  '4.0': 'as ack',
  embedded: 'as ack',
};

export const streamMarksTransient: Difference<boolean> = {
  why: '4.0 stores entries as AMQP 1.0 and gives back delivery mode 1 where none was',
  '3.10': false,
  '4.0': true,
  embedded: false,
};

/** Of a list, a table and bytes. */
export const streamHeaders: Difference<Table> = {
  why: 'RabbitMQ stores entries as AMQP 1.0, whose simple properties hold no lists and tables; the embedded broker keeps all',
  '3.10': { bytes: Buffer.from('c') },
  '4.0': { bytes: 'c' },
  embedded: { list: ['a', 1], table: { inner: 'b' }, bytes: Buffer.from('c') },
};

export const saysWhichRight: Difference<boolean> = {
  why: '4.0 says "configure access to …" where 3.10 says "access to …"; the embedded broker does as the newer',
  '3.10': false,
  '4.0': true,
  embedded: true,
};

/** Whether the server says so among its capabilities (`exchange_exchange_bindings`). */
export const bindsExchanges: Difference<boolean> = {
  why: 'the embedded broker refuses them, see `notForWarren`, and does not announce what it has not',
  '3.10': true,
  '4.0': true,
  embedded: false,
};
