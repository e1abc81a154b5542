import { pushContent } from '../amqp/content.ts';
import type { ReceivedClientMethod } from '../amqp/decode-method.ts';
import { AmqpError } from '../amqp/error.ts';
import type { FieldTable } from '../amqp/field-value.ts';
import type { Method } from '../amqp/method-spec.ts';
import type { Broker } from '../core/broker.ts';
import { limits } from '../core/limits.ts';
import type { Rights } from '../core/permissions.ts';
import { MessageQueue } from '../core/queue.ts';
import type { Queue } from '../core/queues.ts';
import {
  type Consumer,
  type ConsumerOptions,
  countedProperties,
  isCounted,
  type Outlet,
  QueueSubscriber,
  ReplySubscriber,
  StreamSubscriber,
} from './consumers.ts';
import { type DirectReplies, replyAddress } from './direct-replies.ts';
import { streamStart } from './stream-start.ts';

type Received<Name extends ReceivedClientMethod['name']> = Extract<ReceivedClientMethod, { name: Name }>;

/** What consuming needs of its channel. */
export interface SubscriptionHost extends Outlet {
  readonly broker: Broker;
  readonly replies: DirectReplies;
  readonly rights: Rights;
  readonly owner: object;
  /** As `basic.qos` last said. */
  readonly prefetch: number;
  readonly globalPrefetch: number;
  /** '' stands for the queue last declared. @throws AmqpError 404 */
  queueName(given: string): string;
  send(method: Method): void;
  randomName(): string;
}

/** The consumers of one channel, and `basic.get`. */
export class Subscriptions {
  readonly #host: SubscriptionHost;
  readonly #consumers = new Map<string, Consumer>();
  #replyAddress: string | undefined;

  constructor(host: SubscriptionHost) {
    this.#host = host;
  }

  get size(): number {
    return this.#consumers.size;
  }

  /** Of this channel's consumer of direct replies. */
  get replyAddress(): string | undefined {
    return this.#replyAddress;
  }

  /** @throws AmqpError 403, 404, 405, 406, 530, 540 */
  consume(method: Received<'basic.consume'>): void {
    const host = this.#host;
    const tag = method.consumerTag === '' ? `amq.ctag-${host.randomName()}` : method.consumerTag;
    if (this.#consumers.has(tag)) throw new AmqpError(530, `attempt to reuse consumer tag '${tag}'`);
    if (this.#consumers.size >= limits.consumersPerChannel)
      throw new AmqpError(530, `reached maximum (${limits.consumersPerChannel}) of consumers per channel`);
    const options = { tag, noAck: method.noAck, exclusive: method.exclusive, prefetch: host.prefetch };
    const added = (consumer: Consumer): void => {
      this.#consumers.set(tag, consumer);
      if (!method.nowait) host.send({ name: 'basic.consume-ok', consumerTag: tag });
    };
    if (method.queue === replyAddress) return added(this.#takeReplies(options));
    const name = host.queueName(method.queue);
    host.rights.check('read', 'queue', name);
    if (method.arguments['x-priority'] !== undefined) throw new AmqpError(540, 'priorities of consumers are not built');
    const queue = host.broker.queue(name, host.owner);
    if (queue instanceof MessageQueue) {
      checkQueueConsumer(queue, method.arguments, host.globalPrefetch);
      const consumer = new QueueSubscriber(host, options, queue);
      queue.addConsumer(consumer);
      added(consumer);
      queue.pump();
      return;
    }
    checkStreamConsumer(name, options, host.globalPrefetch);
    const start = streamStart(method.arguments, host.broker.now());
    const consumer = new StreamSubscriber(host, options, queue);
    added(consumer);
    queue.addConsumer(consumer, start);
  }

  #takeReplies(options: ConsumerOptions): ReplySubscriber {
    const { replies } = this.#host;
    if (!options.noAck) throw new AmqpError(406, 'reply consumer cannot acknowledge');
    if (this.#replyAddress !== undefined) throw new AmqpError(406, 'reply consumer already set');
    const consumer: ReplySubscriber = new ReplySubscriber(this.#host, options, () => {
      replies.close(address);
      this.#replyAddress = undefined;
    });
    const address = replies.open(consumer);
    this.#replyAddress = address;
    return consumer;
  }

  cancel({ consumerTag, nowait }: Received<'basic.cancel'>): void {
    const consumer = this.#consumers.get(consumerTag);
    this.#consumers.delete(consumerTag);
    const queue = consumer?.leave();
    if (!nowait) this.#host.send({ name: 'basic.cancel-ok', consumerTag });
    queue?.consumersLeft();
  }

  /** @returns whether it was there */
  forget({ tag }: Consumer): boolean {
    return this.#consumers.delete(tag);
  }

  pump(): void {
    // Once each: of a thousand consumers of one queue each would ask all the others.
    const pumped = new Set<MessageQueue>();
    for (const consumer of this.#consumers.values()) {
      const { queue } = consumer;
      if (queue && pumped.has(queue)) continue;
      if (queue) pumped.add(queue);
      consumer.pump();
    }
  }

  /** They get nothing any more. @returns the queues that go on without them, once what they held is back */
  leave(): Set<MessageQueue> {
    const queues = new Set<MessageQueue>();
    for (const consumer of this.#consumers.values()) {
      const queue = consumer.leave();
      if (queue) queues.add(queue);
    }
    this.#consumers.clear();
    return queues;
  }

  /** @throws AmqpError 403, 404, 405, 540 */
  get({ queue: given, noAck }: Received<'basic.get'>): void {
    const host = this.#host;
    const name = host.queueName(given);
    host.rights.check('read', 'queue', name);
    const queue: Queue = host.broker.queue(name, host.owner);
    if (!(queue instanceof MessageQueue))
      throw new AmqpError(540, `basic.get not supported by stream queues queue '${name}' in vhost '/'`);
    if (queue.settings.singleActive && queue.settings.type === 'quorum') {
      throw new AmqpError(
        405,
        `cannot obtain access to locked queue '${name}' in vhost '/'. basic.get operations are not supported by quorum queues with single active consumer`,
      );
    }
    const entry = queue.get(noAck);
    if (!entry) return host.send({ name: 'basic.get-empty' });
    const deliveryTag = host.nextTag();
    if (!noAck) host.track(deliveryTag, { consumer: undefined, queue, entry });
    const { redelivered, message } = entry;
    const { exchange, key: routingKey, body } = message;
    const properties = isCounted(entry, queue) ? countedProperties(entry) : message.properties;
    const { messageCount } = queue;
    host.count(
      pushContent(
        host.frames,
        host.number,
        { name: 'basic.get-ok', deliveryTag, redelivered, exchange, routingKey, messageCount },
        { properties, body },
        host.frameMax,
      ),
    );
  }
}

/** @throws AmqpError 406, 540 */
function checkQueueConsumer(
  { name, settings: { type } }: MessageQueue,
  args: FieldTable,
  globalPrefetch: number,
): void {
  if (args['x-stream-offset'] !== undefined) {
    throw new AmqpError(
      406,
      `invalid arg 'x-stream-offset' for queue '${name}' in vhost '/' of queue type rabbit_${type}_queue`,
    );
  }
  if (type === 'quorum' && globalPrefetch > 0) throw noGlobalPrefetch(name);
}

/** @throws AmqpError 406, 540 */
function checkStreamConsumer(name: string, { noAck, prefetch }: ConsumerOptions, globalPrefetch: number): void {
  if (prefetch === 0)
    throw new AmqpError(406, `consumer prefetch count is not set for stream queue '${name}' in vhost '/'`);
  if (noAck) throw new AmqpError(540, `automatic acknowledgement not supported by stream queue '${name}' in vhost '/'`);
  if (globalPrefetch > 0) throw noGlobalPrefetch(name);
}

function noGlobalPrefetch(name: string): AmqpError {
  return new AmqpError(540, `queue '${name}' in vhost '/' does not support global qos`);
}
