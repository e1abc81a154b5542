import { deliveryPrefix, encodeRoute, pushDelivery, type RoutedContent } from '../amqp/content.ts';
import { withHeaders } from '../amqp/edit-properties.ts';
import { Typed } from '../amqp/field-value.ts';
import type { Entry } from '../core/message.ts';
import type { MessageQueue } from '../core/queue.ts';
import type { QueueConsumer } from '../core/queue-host.ts';
import type { StreamConsumer, StreamDelivery, StreamQueue } from '../core/stream.ts';
import type { Unacked } from './deliveries.ts';

/** What consumers need of their channel. */
export interface Outlet {
  readonly number: number;
  readonly frameMax: number;
  /** Where frames are put; `count` says how much was. */
  readonly frames: Buffer[];
  count(bytes: number): void;
  nextTag(): number;
  track(tag: number, unacked: Unacked): void;
  /** Socket and channel have room for one more. */
  hasRoom(noAck: boolean): boolean;
  /** The queue of this one has gone. */
  consumerGone(consumer: Consumer): void;
}

export interface ConsumerOptions {
  readonly tag: string;
  readonly noAck: boolean;
  readonly exclusive: boolean;
  /** 0: as many as there are. */
  readonly prefetch: number;
}

/** A consumer of a channel, whatever it consumes from. */
export interface Consumer {
  readonly tag: string;
  /** That it shares with others; undefined: it has what it consumes from for itself. */
  readonly queue?: MessageQueue;
  /** It may get more: there is room again. */
  pump(): void;
  /** It gets nothing any more. @returns the queue that goes on without it, once what it held is back */
  leave(): MessageQueue | undefined;
}

/** What deliveries to one consumer have in common. */
abstract class Deliverer {
  readonly tag: string;
  readonly noAck: boolean;
  readonly exclusive: boolean;
  protected readonly outlet: Outlet;
  readonly #prefetch: number;
  readonly #prefix: Buffer;
  /** Delivered and not settled. */
  unacked = 0;

  constructor(outlet: Outlet, { tag, noAck, exclusive, prefetch }: ConsumerOptions) {
    this.outlet = outlet;
    this.tag = tag;
    this.noAck = noAck;
    this.exclusive = exclusive;
    this.#prefetch = prefetch;
    this.#prefix = deliveryPrefix(outlet.number, tag);
  }

  hasCredit(): boolean {
    if (this.#prefetch > 0 && !this.noAck && this.unacked >= this.#prefetch) return false;
    return this.outlet.hasRoom(this.noAck);
  }

  protected push(tag: number, redelivered: boolean, content: RoutedContent): void {
    const { outlet } = this;
    outlet.count(pushDelivery(outlet.frames, this.#prefix, tag, redelivered, content, outlet.frameMax));
  }
}

export class QueueSubscriber extends Deliverer implements Consumer, QueueConsumer {
  readonly queue: MessageQueue;

  constructor(outlet: Outlet, options: ConsumerOptions, queue: MessageQueue) {
    super(outlet, options);
    this.queue = queue;
  }

  deliver(entry: Entry, queue: MessageQueue): void {
    const { message, redelivered } = entry;
    const tag = this.outlet.nextTag();
    if (!this.noAck) {
      this.unacked++;
      this.outlet.track(tag, { consumer: this, queue, entry });
    }
    this.push(
      tag,
      redelivered,
      isCounted(entry, queue) ? { ...message, properties: countedProperties(entry) } : message,
    );
  }

  pump(): void {
    this.queue.pump();
  }

  leave(): MessageQueue {
    this.queue.removeConsumer(this);
    return this.queue;
  }

  cancelled(): void {
    this.outlet.consumerGone(this);
  }
}

/** A quorum queue says how often it tried before. */
export function isCounted({ returns }: Entry, { settings }: MessageQueue): boolean {
  return returns > 0 && settings.type === 'quorum';
}

export function countedProperties({ message, returns }: Entry): Buffer {
  return withHeaders(message.properties, { 'x-delivery-count': new Typed('l', returns) });
}

export class StreamSubscriber extends Deliverer implements Consumer, StreamConsumer {
  readonly #stream: StreamQueue;

  constructor(outlet: Outlet, options: ConsumerOptions, stream: StreamQueue) {
    super(outlet, options);
    this.#stream = stream;
  }

  deliverEntry({ offset, message }: StreamDelivery): void {
    const tag = this.outlet.nextTag();
    this.unacked++;
    this.outlet.track(tag, { consumer: this, queue: undefined, entry: undefined });
    const { exchange, key, body } = message;
    const properties = withHeaders(message.properties, { 'x-stream-offset': new Typed('l', offset) });
    this.push(tag, false, { route: encodeRoute(exchange, key), properties, body });
  }

  pump(): void {
    this.#stream.pump(this);
  }

  leave(): undefined {
    this.#stream.removeConsumer(this);
  }

  cancelled(): void {
    this.outlet.consumerGone(this);
  }
}

/** Takes replies past any queue (RabbitMQ, "Direct Reply-to"). */
export class ReplySubscriber extends Deliverer implements Consumer {
  readonly #close: () => void;

  constructor(outlet: Outlet, options: ConsumerOptions, close: () => void) {
    super(outlet, options);
    this.#close = close;
  }

  deliverReply(reply: RoutedContent): void {
    this.push(this.outlet.nextTag(), false, reply);
  }

  pump(): void {}

  leave(): undefined {
    this.#close();
  }
}
