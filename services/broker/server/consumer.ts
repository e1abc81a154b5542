import { deliveryPrefix, encodeRoute, pushDelivery } from '../amqp/content.ts';
import { withHeaders } from '../amqp/edit-properties.ts';
import { Typed } from '../amqp/field-value.ts';
import type { Entry, Message } from '../core/message.ts';
import type { MessageQueue, QueueConsumer } from '../core/queue.ts';
import type { StreamConsumer, StreamDelivery, StreamQueue } from '../core/stream.ts';
import type { Channel } from './channel.ts';

/** A consumer of a channel, of either kind of queue. */
export class ChannelConsumer implements QueueConsumer, StreamConsumer {
  readonly tag: string;
  readonly queue: MessageQueue | StreamQueue;
  readonly noAck: boolean;
  readonly exclusive: boolean;
  readonly #channel: Channel;
  readonly #prefetch: number;
  readonly #prefix: Buffer;
  unacked = 0;

  /** @param prefetch 0: as many as there are */
  constructor(
    channel: Channel,
    tag: string,
    queue: MessageQueue | StreamQueue,
    flags: { noAck: boolean; exclusive: boolean },
    prefetch: number,
  ) {
    this.tag = tag;
    this.queue = queue;
    this.noAck = flags.noAck;
    this.exclusive = flags.exclusive;
    this.#channel = channel;
    this.#prefetch = prefetch;
    this.#prefix = deliveryPrefix(channel.number, tag);
  }

  hasCredit(): boolean {
    if (this.#prefetch > 0 && !this.noAck && this.unacked >= this.#prefetch) return false;
    return this.#channel.hasRoom(this.noAck);
  }

  deliver(entry: Entry, queue: MessageQueue): void {
    const { message, redelivered, returns } = entry;
    const tag = this.#channel.nextTag();
    if (!this.noAck) {
      this.unacked++;
      this.#channel.track(tag, { consumer: this, queue, entry });
    }
    // A quorum queue says how often it tried.
    const isCounted = returns > 0 && queue.settings.type === 'quorum';
    const content = isCounted
      ? { ...message, properties: withHeaders(message.properties, { 'x-delivery-count': new Typed('l', returns) }) }
      : message;
    pushDelivery(this.#channel.out(), this.#prefix, tag, redelivered, content, this.#channel.frameMax);
    this.#channel.pushed(message.body.length);
  }

  deliverEntry({ offset, message }: StreamDelivery, stream: StreamQueue): void {
    const tag = this.#channel.nextTag();
    this.unacked++;
    this.#channel.track(tag, { consumer: this, queue: stream, entry: undefined });
    const { exchange, key, body } = message;
    const properties = withHeaders(message.properties, { 'x-stream-offset': new Typed('l', offset) });
    pushDelivery(
      this.#channel.out(),
      this.#prefix,
      tag,
      false,
      { route: encodeRoute(exchange, key), properties, body },
      this.#channel.frameMax,
    );
    this.#channel.pushed(body.length);
  }

  /** Past any queue, for direct reply-to. */
  deliverDirect({ properties, body, route }: Pick<Message, 'properties' | 'body' | 'route'>): void {
    pushDelivery(
      this.#channel.out(),
      this.#prefix,
      this.#channel.nextTag(),
      false,
      { route, properties, body },
      this.#channel.frameMax,
    );
    this.#channel.pushed(body.length);
  }

  cancelled(): void {
    this.#channel.consumerGone(this);
  }
}
