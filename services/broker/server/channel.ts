import type { Body } from '../amqp/body.ts';
import type { ReceivedClientMethod } from '../amqp/decode-method.ts';
import { methodFrame } from '../amqp/encode-method.ts';
import { AmqpError } from '../amqp/error.ts';
import { type Method, type MethodName, specOf } from '../amqp/method-spec.ts';
import type { Broker } from '../core/broker.ts';
import type { Rights } from '../core/permissions.ts';
import type { MessageQueue } from '../core/queue.ts';
import { Confirms } from './confirms.ts';
import type { Consumer } from './consumers.ts';
import { ContentAssembly, type WholePublish } from './content-assembly.ts';
import { Declarations } from './declarations.ts';
import { Deliveries, type Unacked, type Verdict } from './deliveries.ts';
import type { DirectReplies } from './direct-replies.ts';
import type { Outbox } from './outbox.ts';
import { publish } from './publisher.ts';
import { Subscriptions } from './subscriptions.ts';

/** What a channel needs of its connection. */
export interface ChannelHost {
  readonly broker: Broker;
  readonly replies: DirectReplies;
  readonly rights: Rights;
  readonly frameMax: number;
  readonly outbox: Outbox;
  /** Identity of the connection, for exclusive queues. */
  readonly owner: object;
  /** The client wants to be told when a queue goes away under its consumer. */
  readonly hearsCancel: boolean;
  published(): void;
  randomName(): string;
}

/**
 * One channel (§1.5): methods and content in, frames out. Throws AmqpError, with the method that it answers; the connection turns it into
 * a close.
 */
export class Channel {
  readonly number: number;
  readonly #host: ChannelHost;
  readonly #assembly = new ContentAssembly();
  readonly #deliveries = new Deliveries();
  readonly #declarations: Declarations;
  readonly #subscriptions: Subscriptions;
  #confirms: Confirms | undefined;
  #prefetch = 0;
  #globalPrefetch = 0;
  #isClosed = false;
  readonly send = (method: Method): void => this.push(methodFrame(this.number, method));

  constructor(number: number, host: ChannelHost) {
    this.number = number;
    this.#host = host;
    this.#declarations = new Declarations(this);
    this.#subscriptions = new Subscriptions(this);
  }

  // --- what its parts need

  get broker(): Broker {
    return this.#host.broker;
  }

  get replies(): DirectReplies {
    return this.#host.replies;
  }

  get rights(): Rights {
    return this.#host.rights;
  }

  get owner(): object {
    return this.#host.owner;
  }

  get frameMax(): number {
    return this.#host.frameMax;
  }

  get frames(): Buffer[] {
    return this.#host.outbox.frames;
  }

  get confirms(): Confirms | undefined {
    return this.#confirms;
  }

  get ownReplyAddress(): string | undefined {
    return this.#subscriptions.replyAddress;
  }

  get prefetch(): number {
    return this.#prefetch;
  }

  get globalPrefetch(): number {
    return this.#globalPrefetch;
  }

  /** What a body that is not all there yet takes in memory. */
  get unfinishedBytes(): number {
    return this.#assembly.heldBytes;
  }

  get consumerCount(): number {
    return this.#subscriptions.size;
  }

  get unackedCount(): number {
    return this.#deliveries.size;
  }

  count(bytes: number): void {
    this.#host.outbox.count(bytes);
  }

  push(frame: Buffer): void {
    this.#host.outbox.push(frame);
  }

  confirmed(count: number): void {
    this.#host.broker.confirmed += count;
  }

  randomName(): string {
    return this.#host.randomName();
  }

  queueName(given: string): string {
    return this.#declarations.queueName(given);
  }

  nextTag(): number {
    return this.#deliveries.nextTag();
  }

  track(tag: number, unacked: Unacked): void {
    this.#deliveries.track(tag, unacked);
  }

  hasRoom(noAck: boolean): boolean {
    if (this.#host.outbox.isCongested) return false;
    return noAck || this.#globalPrefetch === 0 || this.#deliveries.consumed < this.#globalPrefetch;
  }

  synced(callback: () => void): void {
    this.#host.broker.sync(() => {
      if (!this.#isClosed) callback();
    });
  }

  /** The queue went away under a consumer (RabbitMQ, "Consumer Cancel Notifications"). */
  consumerGone(consumer: Consumer): void {
    if (this.#subscriptions.forget(consumer) && this.#host.hearsCancel)
      this.send({ name: 'basic.cancel', consumerTag: consumer.tag, nowait: true });
  }

  // --- frames

  /** @throws AmqpError */
  method(method: ReceivedClientMethod): void {
    this.#assembly.expectMethod();
    if (method.name === 'basic.publish') {
      // Already now: an alarm may not wait for a body that never ends.
      this.#host.published();
      return this.#assembly.begin(method);
    }
    try {
      this.#handle(method);
    } catch (error) {
      throw answering(error, method.name);
    }
  }

  /** A content header's payload. @throws AmqpError */
  header(bytes: Buffer, start: number, end: number): void {
    this.#publish(this.#assembly.header(bytes, start, end));
  }

  /** A content body frame's payload. @throws AmqpError */
  body(piece: Body): void {
    this.#publish(this.#assembly.body(piece));
  }

  #publish(whole: WholePublish | undefined): void {
    if (!whole) return;
    try {
      publish(this, whole);
    } catch (error) {
      throw answering(error, 'basic.publish');
    }
  }

  #handle(method: Exclude<ReceivedClientMethod, { name: 'basic.publish' }>): void {
    switch (method.name) {
      case 'basic.ack':
        return this.#settle(method.deliveryTag, method.multiple, 'ack');
      case 'basic.nack':
        return this.#settle(method.deliveryTag, method.multiple, method.requeue ? 'requeue' : 'reject');
      case 'basic.reject':
        return this.#settle(method.deliveryTag, false, method.requeue ? 'requeue' : 'reject');
      case 'basic.get':
        return this.#subscriptions.get(method);
      case 'basic.consume':
        return this.#subscriptions.consume(method);
      case 'basic.cancel':
        return this.#subscriptions.cancel(method);
      case 'basic.qos':
        return this.#setPrefetch(method.prefetchCount, method.prefetchSize, method.global);
      case 'confirm.select':
        this.#confirms ??= new Confirms(this);
        if (!method.nowait) this.send({ name: 'confirm.select-ok' });
        return;
      case 'channel.flow':
        if (!method.active) throw new AmqpError(540, 'active=false');
        return this.send({ name: 'channel.flow-ok', active: true });
      case 'exchange.declare':
        return this.#declarations.declareExchange(method);
      case 'exchange.delete':
        return this.#declarations.deleteExchange(method);
      case 'queue.declare':
        return this.#declarations.declareQueue(method);
      case 'queue.bind':
        return this.#declarations.bind(method);
      case 'queue.unbind':
        return this.#declarations.unbind(method);
      case 'queue.purge':
        return this.#declarations.purge(method);
      case 'queue.delete':
        return this.#declarations.deleteQueue(method);
      case 'basic.recover':
      case 'basic.recover-async':
        throw new AmqpError(540, method.requeue ? `${method.name} is not built` : 'requeue=false');
      case 'exchange.bind':
      case 'exchange.unbind':
        throw new AmqpError(540, 'bindings between exchanges are not built');
      case 'tx.select':
      case 'tx.commit':
      case 'tx.rollback':
        throw new AmqpError(540, 'transactions are not built');
      default:
        throw new AmqpError(503, 'unimplemented method');
    }
  }

  #setPrefetch(count: number, size: number, isGlobal: boolean): void {
    if (size !== 0) throw new AmqpError(540, `prefetch_size!=0 (${size})`);
    if (isGlobal) this.#globalPrefetch = count;
    else this.#prefetch = count;
    this.send({ name: 'basic.qos-ok' });
    if (isGlobal) this.pump();
  }

  #settle(tag: number, multiple: boolean, verdict: Verdict): void {
    if (multiple) this.#deliveries.settleUpTo(tag, verdict);
    else this.#deliveries.settle(tag, verdict);
    // Then each ack may make room for any of its consumers.
    if (this.#globalPrefetch > 0) this.pump();
  }

  /** There is room again: whatever waits for this channel's consumers. */
  pump(): void {
    this.#subscriptions.pump();
  }

  /** At the end of each turn. */
  flush(): void {
    this.#confirms?.flush();
  }

  // --- its end, in two steps, so that nothing goes from one channel of a dead connection to another

  /** Its consumers get nothing any more. @returns the queues that go on without them, once `giveBack` was called */
  leave(): Set<MessageQueue> {
    this.#isClosed = true;
    return this.#subscriptions.leave();
  }

  /** What was delivered and not acknowledged goes back to where it was. @returns the queues to be pumped */
  giveBack(): Iterable<MessageQueue> {
    return this.#deliveries.giveBack();
  }
}

/** The one place where an error that was found anywhere behind a channel learns which method it answers. */
function answering(error: unknown, name: MethodName): unknown {
  return error instanceof AmqpError ? error.answering(specOf(name)) : error;
}
