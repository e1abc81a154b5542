import { decodeClientMethod } from '../amqp/decode-method.ts';
import { methodFrame } from '../amqp/encode-method.ts';
import { AmqpError } from '../amqp/error.ts';
import { frameType } from '../amqp/frame.ts';
import type { FrameParser } from '../amqp/frame-parser.ts';
import { type Method, specOf } from '../amqp/method-spec.ts';
import type { MessageQueue } from '../core/queue.ts';
import { Channel, type ChannelHost } from './channel.ts';
import { isMethod } from './peek.ts';

/** What they need of their connection. */
export interface ChannelsHost extends ChannelHost {
  /** @throws AmqpError 530 when its account has as many as it may */
  admitChannel(): void;
}

/** The channels of one connection: those that are open, and those that we closed until the client says close-ok. */
export class Channels {
  readonly #host: ChannelsHost;
  readonly #open = new Map<number, Channel>();
  readonly #closing = new Set<number>();
  /** As negotiated. */
  max = 0;

  constructor(host: ChannelsHost) {
    this.#host = host;
  }

  get size(): number {
    return this.#open.size;
  }

  /** Of publishes that are not all there yet. */
  get unfinishedBytes(): number {
    let bytes = 0;
    for (const channel of this.#open.values()) bytes += channel.unfinishedBytes;
    return bytes;
  }

  has(number: number): boolean {
    return this.#open.has(number);
  }

  /** A frame of another channel than 0: the one that the parser came to. @throws AmqpError */
  frame(frame: FrameParser): void {
    const { type, channel: number, bytes, start, end } = frame;
    const channel = this.#open.get(number);
    if (!channel) return this.#unopened(number, type, bytes, start, end);
    if (type === frameType.header) return channel.header(bytes, start, end);
    if (type === frameType.body) return channel.body(frame.body);
    const method = decodeClientMethod(bytes, start, end);
    if (method.name === 'channel.close') {
      this.#close(number);
      return this.#send({ name: 'channel.close-ok' }, number);
    }
    if (method.name === 'channel.open') throw new AmqpError(504, "second 'channel.open' seen", specOf(method.name));
    channel.method(method);
  }

  #unopened(number: number, type: number, bytes: Buffer, start: number, end: number): void {
    if (this.#closing.has(number)) {
      // Whatever was on its way before the client saw our close.
      if (type !== frameType.method) return;
      if (isMethod('channel.close', bytes, start)) this.#send({ name: 'channel.close-ok' }, number);
      else if (!isMethod('channel.close-ok', bytes, start)) return;
      this.#closing.delete(number);
      return;
    }
    if (type !== frameType.method) throw new AmqpError(505, 'expected method frame, got non method frame instead');
    const method = decodeClientMethod(bytes, start, end);
    if (method.name !== 'channel.open') throw new AmqpError(504, "expected 'channel.open'", specOf(method.name));
    this.#create(number);
    this.#send({ name: 'channel.open-ok' }, number);
  }

  #send(method: Method, number: number): void {
    this.#host.outbox.push(methodFrame(number, method));
  }

  /** @throws AmqpError 530 */
  #create(number: number): void {
    const count = this.#open.size + this.#closing.size;
    if (count >= this.max) {
      throw new AmqpError(
        530,
        `number of channels opened (${count}) has reached the negotiated channel_max (${this.max})`,
      );
    }
    this.#host.admitChannel();
    this.#open.set(number, new Channel(number, this.#host));
  }

  #close(number: number): void {
    const channel = this.#open.get(number);
    this.#open.delete(number);
    if (channel) end([channel]);
  }

  /** By us. */
  fail(number: number, { code: replyCode, text: replyText, classId, methodId }: AmqpError): void {
    // What it confirmed before the error it confirms.
    this.#open.get(number)?.flush();
    this.#close(number);
    this.#closing.add(number);
    this.#send({ name: 'channel.close', replyCode, replyText, classId, methodId }, number);
  }

  closeAll(): void {
    const channels = [...this.#open.values()];
    this.#open.clear();
    this.#closing.clear();
    end(channels);
  }

  flush(): void {
    for (const channel of this.#open.values()) channel.flush();
  }

  pump(): void {
    for (const channel of this.#open.values()) channel.pump();
  }
}

/** First all consumers go, then everything they held goes back, and only then others get it. */
function end(channels: readonly Channel[]): void {
  const left = new Set<MessageQueue>();
  const fuller = new Set<MessageQueue>();
  for (const channel of channels) for (const queue of channel.leave()) left.add(queue);
  for (const channel of channels) for (const queue of channel.giveBack()) fuller.add(queue);
  for (const queue of left) queue.consumersLeft();
  for (const queue of fuller) queue.pump();
}
