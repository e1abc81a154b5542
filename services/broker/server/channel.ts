import { AckWindow } from '../../bus/ack-window.ts';
import { pushContent } from '../amqp/content.ts';
import { decodeHeader } from '../amqp/content-header.ts';
import type { Publish, ReceivedClientMethod } from '../amqp/decode-method.ts';
import { withReplyTo } from '../amqp/edit-properties.ts';
import { ackFrame, methodFrame, nackFrame } from '../amqp/encode-method.ts';
import { AmqpError } from '../amqp/error.ts';
import { type FieldTable, Typed } from '../amqp/field-value.ts';
import { type Method, specOf } from '../amqp/method-spec.ts';
import { scanProperties } from '../amqp/properties.ts';
import type { Broker } from '../core/broker.ts';
import type { Entry, Message } from '../core/message.ts';
import type { Rights } from '../core/permissions.ts';
import { MessageQueue } from '../core/queue.ts';
import { StreamQueue, type StreamStart } from '../core/stream.ts';
import { ChannelConsumer } from './consumer.ts';
import type { DirectReplies } from './direct-replies.ts';

/** As RabbitMQ 4.x has it. */
export const messageLimit = 16 * 1024 * 1024;

/** What a channel needs of its connection. */
export interface ChannelHost {
  readonly broker: Broker;
  readonly replies: DirectReplies;
  readonly rights: Rights;
  readonly frameMax: number;
  /** Identity of the connection, for exclusive queues. */
  readonly owner: object;
  /** The socket takes no more for now. */
  readonly isCongested: boolean;
  /** Frames to send, in order, this turn. */
  out(): Buffer[];
  pushed(bytes: number): void;
  published(): void;
  randomName(): string;
}

interface Unacked {
  readonly consumer: ChannelConsumer | undefined;
  readonly queue: MessageQueue | StreamQueue;
  /** Undefined for an entry of a stream, which stays where it is. */
  readonly entry: Entry | undefined;
}

/** A message whose content is still coming. */
interface Incoming {
  readonly method: Publish;
  properties: Buffer | undefined;
  left: number;
  readonly chunks: Buffer[];
}

const nothing = Buffer.alloc(0);

/** One channel: methods in, frames out. Throws AmqpError; the connection turns it into a close. */
export class Channel {
  readonly number: number;
  readonly #host: ChannelHost;
  readonly #consumers = new Map<string, ChannelConsumer>();
  readonly #unacked = new Map<number, Unacked>();
  #incoming: Incoming | undefined;
  #lastTag = 0;
  #lastQueue = '';
  #prefetch = 0;
  #globalPrefetch = 0;
  #isActive = true;
  #confirms: AckWindow | undefined;
  #lastPublish = 0;
  #unsynced: number[] = [];
  #refused: number[] = [];
  #replyName: string | undefined;

  constructor(number: number, host: ChannelHost) {
    this.number = number;
    this.#host = host;
  }

  get frameMax(): number {
    return this.#host.frameMax;
  }

  get consumerCount(): number {
    return this.#consumers.size;
  }

  get unackedCount(): number {
    return this.#unacked.size;
  }

  out(): Buffer[] {
    return this.#host.out();
  }

  pushed(bytes: number): void {
    this.#host.pushed(bytes);
  }

  nextTag(): number {
    return ++this.#lastTag;
  }

  track(tag: number, unacked: Unacked): void {
    this.#unacked.set(tag, unacked);
  }

  hasRoom(noAck: boolean): boolean {
    if (!this.#isActive || this.#host.isCongested) return false;
    return noAck || this.#globalPrefetch === 0 || this.#unacked.size < this.#globalPrefetch;
  }

  #send(method: Method): void {
    this.#host.out().push(methodFrame(this.number, method));
  }

  /** @throws AmqpError */
  method(method: ReceivedClientMethod): void {
    if (this.#incoming)
      throw new AmqpError(
        505,
        `expected content header for class 60, got ${method.name} instead`,
        specOf('basic.publish'),
      );
    if (method.name === 'basic.publish') {
      this.#incoming = { method, properties: undefined, left: 0, chunks: [] };
      return;
    }
    if (method.name === 'basic.ack') return this.#settle(method.deliveryTag, method.multiple, 'ack');
    try {
      this.#handle(method);
    } catch (error) {
      // Says which method it answers.
      if (error instanceof AmqpError && error.classId === 0)
        throw new AmqpError(error.code, error.text.replace(/^[A-Z_]+ - /, ''), specOf(method.name));
      throw error;
    }
  }

  #handle(method: Exclude<ReceivedClientMethod, Publish>): void {
    const { broker, rights, owner } = this.#host;
    switch (method.name) {
      case 'channel.flow':
        this.#isActive = method.active;
        this.#send({ name: 'channel.flow-ok', active: method.active });
        if (method.active) this.pump();
        return;
      case 'exchange.declare': {
        const { exchange, type, passive, durable, autoDelete, internal, nowait } = method;
        if (exchange === '') throw new AmqpError(403, 'operation not permitted on the default exchange');
        if (passive) broker.exchange(exchange);
        else {
          rights.check('configure', 'exchange', exchange);
          if (method.arguments['alternate-exchange'] !== undefined)
            throw new AmqpError(540, 'alternate exchanges are not supported');
          broker.declareExchange(exchange, type, { durable, autoDelete, internal });
        }
        if (!nowait) this.#send({ name: 'exchange.declare-ok' });
        return;
      }
      case 'exchange.delete':
        if (method.exchange === '') throw new AmqpError(403, 'operation not permitted on the default exchange');
        rights.check('configure', 'exchange', method.exchange);
        broker.deleteExchange(method.exchange, method.ifUnused);
        if (!method.nowait) this.#send({ name: 'exchange.delete-ok' });
        return;
      case 'exchange.bind':
      case 'exchange.unbind':
        throw new AmqpError(540, 'bindings between exchanges are not supported');
      case 'queue.declare':
        return this.#declareQueue(method);
      case 'queue.bind':
      case 'queue.unbind': {
        const queue = this.#queueName(method.queue);
        const key = method.queue === '' && method.routingKey === '' ? queue : method.routingKey;
        rights.check('write', 'queue', queue);
        rights.check('read', 'exchange', method.exchange);
        if (method.exchange !== '' && broker.exchange(method.exchange).settings.type === 'topic')
          rights.checkTopic('read', method.exchange, key);
        if (method.name === 'queue.bind') {
          broker.bind(queue, method.exchange, key, owner);
          if (!method.nowait) this.#send({ name: 'queue.bind-ok' });
        } else {
          broker.unbind(queue, method.exchange, key, owner);
          this.#send({ name: 'queue.unbind-ok' });
        }
        return;
      }
      case 'queue.purge': {
        const name = this.#queueName(method.queue);
        rights.check('read', 'queue', name);
        const queue = broker.queue(name, owner);
        if (queue instanceof StreamQueue)
          throw new AmqpError(540, `basic.purge not supported by stream queues queue '${name}' in vhost '/'`);
        const messageCount = queue.purge();
        if (!method.nowait) this.#send({ name: 'queue.purge-ok', messageCount });
        return;
      }
      case 'queue.delete': {
        const name = this.#queueName(method.queue);
        rights.check('configure', 'queue', name);
        const messageCount = broker.deleteQueue(name, owner, method);
        if (!method.nowait) this.#send({ name: 'queue.delete-ok', messageCount });
        return;
      }
      case 'basic.qos':
        if (method.prefetchSize !== 0) throw new AmqpError(540, `prefetch_size!=0 (${method.prefetchSize})`);
        if (method.global) this.#globalPrefetch = method.prefetchCount;
        else this.#prefetch = method.prefetchCount;
        this.#send({ name: 'basic.qos-ok' });
        if (method.global) this.pump();
        return;
      case 'basic.consume':
        return this.#consume(method);
      case 'basic.cancel': {
        const consumer = this.#consumers.get(method.consumerTag);
        if (consumer) this.#remove(consumer);
        if (!method.nowait) this.#send({ name: 'basic.cancel-ok', consumerTag: method.consumerTag });
        return;
      }
      case 'basic.get':
        return this.#get(method);
      case 'basic.nack':
        return this.#settle(method.deliveryTag, method.multiple, method.requeue ? 'requeue' : 'reject');
      case 'basic.reject':
        return this.#settle(method.deliveryTag, false, method.requeue ? 'requeue' : 'reject');
      case 'confirm.select':
        this.#confirms ??= new AckWindow();
        if (!method.nowait) this.#send({ name: 'confirm.select-ok' });
        return;
      case 'basic.recover':
      case 'basic.recover-async':
      case 'tx.select':
      case 'tx.commit':
      case 'tx.rollback':
        throw new AmqpError(540, `${method.name} is not supported`);
      default:
        throw new AmqpError(503, `unexpected method ${method.name}`);
    }
  }

  #declareQueue(method: Extract<ReceivedClientMethod, { name: 'queue.declare' }>): void {
    const { broker, rights, owner } = this.#host;
    const { passive, durable, exclusive, autoDelete, nowait } = method;
    const name = passive && method.queue === '' ? this.#queueName('') : method.queue;
    if (!passive) {
      rights.check('configure', 'queue', name);
      const deadLetterExchange = method.arguments['x-dead-letter-exchange'];
      if (typeof deadLetterExchange === 'string') {
        rights.check('read', 'queue', name);
        rights.check('write', 'exchange', deadLetterExchange);
      }
    }
    const queue = passive
      ? broker.queue(name, owner)
      : broker.declareQueue({ name, durable, exclusive, autoDelete, arguments: method.arguments }, owner);
    this.#lastQueue = queue.name;
    const { messageCount, consumerCount } = queue;
    if (!nowait) this.#send({ name: 'queue.declare-ok', queue: queue.name, messageCount, consumerCount });
  }

  /** '' stands for the queue last declared on this channel. */
  #queueName(given: string): string {
    if (given !== '') return given;
    if (this.#lastQueue === '') throw new AmqpError(404, 'no previously declared queue');
    return this.#lastQueue;
  }

  #consume(method: Extract<ReceivedClientMethod, { name: 'basic.consume' }>): void {
    const { broker, rights, owner, replies } = this.#host;
    const consumerTag = method.consumerTag === '' ? `amq.ctag-${this.#host.randomName()}` : method.consumerTag;
    if (this.#consumers.has(consumerTag)) throw new AmqpError(530, `attempt to reuse consumer tag '${consumerTag}'`);
    const flags = { noAck: method.noAck, exclusive: method.exclusive };
    const ok = (): void => {
      if (!method.nowait) this.#send({ name: 'basic.consume-ok', consumerTag });
    };
    if (method.queue === replies.address) {
      if (!method.noAck) throw new AmqpError(406, 'reply consumer cannot acknowledge');
      if (this.#replyName !== undefined) throw new AmqpError(406, 'reply consumer already set');
      const consumer = new ChannelConsumer(this, consumerTag, replies.queue, flags, 0);
      this.#consumers.set(consumerTag, consumer);
      this.#replyName = replies.open(consumer);
      return ok();
    }
    const name = this.#queueName(method.queue);
    rights.check('read', 'queue', name);
    const queue = broker.queue(name, owner);
    const consumer = new ChannelConsumer(this, consumerTag, queue, flags, this.#prefetch);
    if (queue instanceof StreamQueue) {
      if (method.noAck)
        throw new AmqpError(
          540,
          `automatic acknowledgement not supported by stream queues queue '${name}' in vhost '/'`,
        );
      if (this.#prefetch === 0)
        throw new AmqpError(406, `consumer prefetch count is not set for 'queue '${name}' in vhost '/''`);
      const start = streamStart(method.arguments);
      this.#consumers.set(consumerTag, consumer);
      ok();
      queue.addConsumer(consumer, start);
    } else {
      queue.addConsumer(consumer);
      this.#consumers.set(consumerTag, consumer);
      ok();
      queue.pump();
    }
  }

  #get({ queue: given, noAck }: Extract<ReceivedClientMethod, { name: 'basic.get' }>): void {
    const { broker, rights, owner } = this.#host;
    const name = this.#queueName(given);
    rights.check('read', 'queue', name);
    const queue = broker.queue(name, owner);
    if (queue instanceof StreamQueue)
      throw new AmqpError(540, `basic.get not supported by stream queues queue '${name}' in vhost '/'`);
    const entry = queue.get(noAck);
    if (!entry) return this.#send({ name: 'basic.get-empty' });
    const deliveryTag = this.nextTag();
    if (!noAck) this.track(deliveryTag, { consumer: undefined, queue, entry });
    const { message, redelivered } = entry;
    const { exchange, key: routingKey } = message;
    const { messageCount } = queue;
    pushContent(
      this.out(),
      this.number,
      { name: 'basic.get-ok', deliveryTag, redelivered, exchange, routingKey, messageCount },
      message,
      this.frameMax,
    );
  }

  /** @throws AmqpError 505 */
  header(bytes: Buffer, start: number, end: number): void {
    const incoming = this.#incoming;
    if (!incoming || incoming.properties)
      throw new AmqpError(505, 'expected method frame, got content header frame instead');
    const { bodySize, properties } = decodeHeader(bytes, start, end);
    if (bodySize > messageLimit) {
      this.#incoming = undefined;
      throw new AmqpError(
        406,
        `message size ${bodySize} is larger than configured max size ${messageLimit}`,
        specOf('basic.publish'),
      );
    }
    incoming.properties = properties;
    incoming.left = bodySize;
    if (bodySize === 0) this.#complete(incoming);
  }

  /** @throws AmqpError 501, 505 */
  body(bytes: Buffer, start: number, end: number): void {
    const incoming = this.#incoming;
    if (!incoming?.properties) throw new AmqpError(505, 'expected method frame, got content body frame instead');
    incoming.left -= end - start;
    if (incoming.left < 0)
      throw new AmqpError(501, 'content body larger than its header said', specOf('basic.publish'));
    incoming.chunks.push(bytes.subarray(start, end));
    if (incoming.left === 0) this.#complete(incoming);
  }

  #complete({ method, properties = nothing, chunks }: Incoming): void {
    this.#incoming = undefined;
    try {
      this.#publish(method, properties, chunks.length === 1 ? (chunks[0] ?? nothing) : Buffer.concat(chunks));
    } catch (error) {
      if (error instanceof AmqpError && error.classId === 0)
        throw new AmqpError(error.code, error.text.replace(/^[A-Z_]+ - /, ''), specOf('basic.publish'));
      throw error;
    }
  }

  #publish(
    { exchange: name, routingKey: key, mandatory, immediate, route }: Publish,
    received: Buffer,
    body: Buffer,
  ): void {
    const { broker, rights, replies } = this.#host;
    if (immediate) throw new AmqpError(540, 'immediate=true');
    this.#host.published();
    rights.check('write', 'exchange', name);
    const exchange = broker.exchange(name);
    if (exchange.settings.internal)
      throw new AmqpError(403, `cannot publish to internal exchange '${name}' in vhost '/'`);
    if (exchange.settings.type === 'topic') rights.checkTopic('write', name, key);
    const { deliveryMode, replyTo, expiration, userId } = scanProperties(received);
    if (userId !== undefined && userId !== rights.user) {
      throw new AmqpError(406, `user_id property set to '${userId}' but authenticated user was '${rights.user}'`);
    }
    let properties = received;
    if (replyTo === replies.address) {
      if (this.#replyName === undefined) throw new AmqpError(406, 'fast reply consumer does not exist');
      properties = withReplyTo(received, this.#replyName);
    }
    const message: Message = {
      exchange: name,
      key,
      route,
      properties,
      body,
      isPersistent: deliveryMode === 2,
      expirationMs: expirationOf(expiration),
    };

    const seq = this.#confirms ? ++this.#lastPublish : 0;
    this.#confirms?.delivered(seq);
    if (name === '' && replies.deliver(message)) return this.#confirm(seq);
    const { isRouted, isRefused, isLogged } = broker.publish(exchange, message);
    if (mandatory && !isRouted) {
      pushContent(
        this.out(),
        this.number,
        { name: 'basic.return', replyCode: 312, replyText: 'NO_ROUTE', exchange: name, routingKey: key },
        message,
        this.frameMax,
      );
    }
    if (seq === 0) return;
    if (isRefused) {
      this.#confirms?.rejected(seq);
      this.#refused.push(seq);
    } else if (isLogged) this.#unsynced.push(seq);
    else this.#confirm(seq);
  }

  #confirm(seq: number): void {
    if (seq > 0) this.#confirms?.acked(seq);
  }

  /** At the end of each turn: confirms what needs no disk, and asks for the rest to be synced. */
  flush(): void {
    if (!this.#confirms) return;
    for (const seq of this.#refused.splice(0)) this.out().push(nackFrame(this.number, seq, false));
    this.#pushConfirms();
    if (this.#unsynced.length === 0) return;
    const seqs = this.#unsynced;
    this.#unsynced = [];
    this.#host.broker.sync(() => {
      for (const seq of seqs) this.#confirm(seq);
      this.#pushConfirms();
    });
  }

  #pushConfirms(): void {
    for (const { tag, multiple } of this.#confirms?.take() ?? []) this.out().push(ackFrame(this.number, tag, multiple));
  }

  #settle(tag: number, multiple: boolean, how: 'ack' | 'requeue' | 'reject'): void {
    const settled: Unacked[] = [];
    if (multiple) {
      if (tag !== 0 && !this.#unacked.has(tag)) throw unknownTag(tag);
      for (const [each, unacked] of this.#unacked) {
        if (tag !== 0 && each > tag) break;
        settled.push(unacked);
        this.#unacked.delete(each);
      }
    } else {
      const unacked = this.#unacked.get(tag);
      if (!unacked) throw unknownTag(tag);
      this.#unacked.delete(tag);
      settled.push(unacked);
    }
    for (const { consumer } of settled) if (consumer) consumer.unacked--;
    if (how === 'requeue') requeue(settled);
    else {
      for (const { entry, queue } of settled) {
        if (!entry || queue instanceof StreamQueue) continue;
        if (how === 'ack') queue.ack(entry);
        else queue.reject(entry);
      }
    }
    if (this.#globalPrefetch > 0) this.pump();
    else for (const queue of new Set(settled.map(unacked => unacked.queue))) this.#pumpQueue(queue, settled);
  }

  #pumpQueue(queue: MessageQueue | StreamQueue, settled: readonly Unacked[]): void {
    if (queue instanceof MessageQueue) queue.pump();
    else
      for (const consumer of new Set(settled.map(unacked => unacked.consumer)))
        if (consumer?.queue === queue) queue.pump(consumer);
  }

  /** There is room again: whatever waits for this channel's consumers. */
  pump(): void {
    for (const consumer of this.#consumers.values()) {
      if (consumer.queue instanceof StreamQueue) consumer.queue.pump(consumer);
      else consumer.queue.pump();
    }
  }

  #remove(consumer: ChannelConsumer): void {
    this.#consumers.delete(consumer.tag);
    if (consumer.queue === this.#host.replies.queue) this.#closeReplies();
    else if (consumer.queue instanceof StreamQueue) consumer.queue.removeConsumer(consumer);
    else consumer.queue.removeConsumer(consumer);
  }

  #closeReplies(): void {
    if (this.#replyName !== undefined) this.#host.replies.close(this.#replyName);
    this.#replyName = undefined;
  }

  /** The queue went away under a consumer: the client is told (RabbitMQ, "Consumer Cancel Notifications"). */
  consumerGone(consumer: ChannelConsumer): void {
    if (this.#consumers.delete(consumer.tag))
      this.#send({ name: 'basic.cancel', consumerTag: consumer.tag, nowait: true });
  }

  /** What was delivered and not acknowledged goes back to where it was. */
  close(): void {
    this.#incoming = undefined;
    for (const consumer of [...this.#consumers.values()]) {
      this.#consumers.delete(consumer.tag);
      this.#remove(consumer);
    }
    const left = [...this.#unacked.values()];
    this.#unacked.clear();
    requeue(left);
  }
}

function requeue(unacked: readonly Unacked[]): void {
  const byQueue = new Map<MessageQueue, Entry[]>();
  for (const { queue, entry } of unacked) {
    if (!entry || queue instanceof StreamQueue) continue;
    const entries = byQueue.get(queue) ?? [];
    entries.push(entry);
    byQueue.set(queue, entries);
  }
  for (const [queue, entries] of byQueue) queue.requeue(entries.sort((a, b) => a.index - b.index));
}

function unknownTag(tag: number): AmqpError {
  return new AmqpError(406, `unknown delivery tag ${tag}`);
}

/** @throws AmqpError 406 */
function expirationOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (!/^\d{1,10}$/.test(text)) throw new AmqpError(406, `invalid expiration '${text}': not a number of milliseconds`);
  return Number(text);
}

/** @throws AmqpError 406 */
function streamStart(args: FieldTable): StreamStart {
  const given = args['x-stream-offset'];
  const value = given instanceof Typed && given.letter !== 'T' ? given.value : given;
  if (value === undefined) return 'next';
  if (value === 'first' || value === 'last' || value === 'next') return value;
  if ((typeof value === 'number' || typeof value === 'bigint') && value >= 0) return { offset: Number(value) };
  if (value instanceof Typed) return { timestampMs: Number(value.value) * 1000 };
  throw new AmqpError(406, `invalid arg 'x-stream-offset': ${String(value)}`);
}
