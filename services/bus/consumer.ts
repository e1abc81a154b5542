import type { Channel, ConsumeMessage } from 'amqplib';
import { backoffMs } from '../lib/backoff.ts';
import { messageOf } from '../lib/failure.ts';
import { largePassed } from '../lib/large-messages.ts';
import { AckWindow } from './ack-window.ts';
import { arrivals } from './arrival.ts';
import type { ConsumeOptions, Consumer, Delivery, Verdict } from './bus.ts';
import { declare, openChannel, queueOptions, type Session } from './session.ts';
import type { Binding, QueueSpec, Role } from './topology.ts';

const reopenBounds = { firstMs: 50, maxMs: 2_000 };

/**
 * One subscription, across sessions. Each session gives it a channel of its own, so that an error in one consumer
 * closes nobody else's; a channel that the broker closes, or a queue that goes, is opened again on the same session.
 */
export class BusConsumer implements Consumer {
  readonly #queue: QueueSpec;
  readonly #handler: (delivery: Delivery) => Verdict | Promise<Verdict>;
  readonly #options: ConsumeOptions;
  readonly #role: Role;
  readonly #warn: (line: string) => void;
  readonly #onClosed: (consumer: BusConsumer) => void;
  #open: OpenConsumer | undefined;
  #running = 0;
  #idle: (() => void) | undefined;
  #nextOffset: bigint | undefined;
  #closing = false;
  #hasDropped = false;

  constructor(
    queue: QueueSpec,
    handler: (delivery: Delivery) => Verdict | Promise<Verdict>,
    options: ConsumeOptions,
    role: Role,
    warn: (line: string) => void,
    onClosed: (consumer: BusConsumer) => void,
  ) {
    this.#queue = queue;
    this.#handler = handler;
    this.#options = options;
    this.#role = role;
    this.#warn = warn;
    this.#onClosed = onClosed;
  }

  /** Begins to consume on a new session, if it must; else it does when it can. */
  async begin(session: Session): Promise<void> {
    try {
      await this.attach(session);
    } catch (error) {
      if (this.#options.isOptional !== true || !session.isOpen()) throw error;
      void this.#reattach(session, error);
    }
  }

  /** Begins to consume on a session. */
  async attach(session: Session): Promise<void> {
    if (this.#closing) return;
    const channel = await openChannel(session.consuming);
    const open: OpenConsumer = {
      ...{ channel, tag: '', acks: new AckWindow(), flushing: false, isExpected: () => true, lastOffset: undefined },
    };
    let failed: unknown;
    let isAttached = false;
    // Until it is attached, whoever attaches hears of it, and tries again or not.
    const end = (reason: unknown): void => {
      failed ??= reason;
      if (this.#open !== open) return;
      this.#open = undefined;
      if (!isAttached) return;
      if (this.#options.onEnd === undefined) void this.#reattach(session, failed);
      else if (!this.#closing) {
        this.#closing = true;
        this.#onClosed(this);
        this.#options.onEnd();
      }
    };
    channel.on('error', error => {
      failed = error;
    });
    channel.on('close', () => end('channel closed'));
    if (this.#options.prefetch) await channel.prefetch(this.#options.prefetch);
    const { name, bindings } = await this.#declare(channel);
    // Closed meanwhile: the broker must not be left with a consumer that nobody closes.
    if (this.#closing) return closeQuietly(channel);
    open.isExpected = arrivals(bindings);
    this.#open = open;
    const again = this.#options.overlaps ? 1n : 0n;
    const offset = this.#nextOffset === undefined ? this.#options.offset : this.#nextOffset - again;
    const ok = await channel.consume(
      name,
      message => {
        if (message) this.#deliver(open, message);
        // The broker cancels when the queue goes away.
        else if (this.#open === open) {
          end('queue gone');
          closeQuietly(channel);
        }
      },
      {
        noAck: this.#options.noAck ?? false,
        ...(offset === undefined
          ? {}
          : { arguments: { 'x-stream-offset': typeof offset === 'bigint' ? Number(offset) : offset } }),
      },
    );
    if (this.#open !== open && !this.#closing) throw failed;
    if (this.#closing) {
      this.#open = undefined;
      return closeQuietly(channel);
    }
    isAttached = true;
    open.tag = ok.consumerTag;
    this.#options.onQueue?.(name);
  }

  async #declare(channel: Channel): Promise<{ name: string; bindings: readonly Binding[] | undefined }> {
    const { name } = this.#queue;
    if (name !== '') {
      const { queues, expects = [] } = this.#role;
      const known = [...queues, ...expects.flatMap(({ queues: others = [] }) => others)];
      const bound = known.find(({ queue }) => queue.name === name);
      return { name, bindings: bound?.bindings ?? this.#options.bindings?.(name) };
    }
    const { queue } = await channel.assertQueue('', queueOptions(this.#queue));
    const bindings = this.#options.bindings?.(queue) ?? [];
    for (const { exchange, key } of bindings) await channel.bindQueue(queue, exchange, key);
    return { name: queue, bindings };
  }

  async #reattach(session: Session, reason: unknown): Promise<void> {
    let told = '';
    for (let attempt = 0; session.isOpen() && !this.#closing; attempt++) {
      const why = messageOf(reason);
      if (why !== told)
        this.#warn(`consumer of ${this.#queue.name || 'own queue'} stopped by the broker, begins again: ${why}`);
      told = why;
      const wait = backoffMs(attempt, reopenBounds, Math.random);
      await new Promise(resolve => setTimeout(resolve, wait).unref());
      if (!session.isOpen()) return;
      try {
        // The queue may have been deleted under us.
        await declare(session.consuming, this.#role);
        await this.attach(session);
        return;
      } catch (error) {
        reason = error;
      }
    }
  }

  #deliver(open: OpenConsumer, message: ConsumeMessage): void {
    if (this.#closing && this.#options.ending === 'channel') return;
    const tag = message.fields.deliveryTag;
    const delivery = asDelivery(message, open.lastOffset);
    open.lastOffset = delivery.offset;
    largePassed(delivery.body.length);
    if (!this.#options.noAck) open.acks.delivered(tag);
    this.#running++;
    let verdict: Verdict | Promise<Verdict>;
    const { fields, properties } = message;
    try {
      const { exchange, routingKey: key } = fields;
      if (open.isExpected({ exchange, key, headers: properties.headers ?? {} })) verdict = this.#handler(delivery);
      else verdict = this.#options.takesStrays ? this.#handler({ ...delivery, isStray: true }) : this.#drop(delivery);
    } catch (error) {
      verdict = this.#blame(error);
    }
    if (typeof verdict === 'string') this.#settle(open, tag, verdict, delivery.offset);
    else {
      verdict.then(
        value => this.#settle(open, tag, value, delivery.offset),
        error => this.#settle(open, tag, this.#blame(error), delivery.offset),
      );
    }
  }

  /** Somebody tries something, or it is a leftover of what was bound once. Said once only: it could be repeated at will. */
  #drop({ key, userId }: Delivery): Verdict {
    if (!this.#hasDropped)
      this.#warn(
        `dropped what came to ${this.#queue.name || 'own queue'} by a way that it is not bound to, and will again: key ${JSON.stringify(key)}, from ${JSON.stringify(userId ?? '?')}`,
      );
    this.#hasDropped = true;
    return 'ack';
  }

  /** A handler must not throw; what makes it throw once would do so again, so the message is not requeued. */
  #blame(error: unknown): Verdict {
    this.#warn(`handler of ${this.#queue.name || 'own queue'} failed, message dropped: ${messageOf(error)}`);
    return 'dead';
  }

  #settle(open: OpenConsumer, tag: number, verdict: Verdict, offset: bigint | undefined): void {
    this.#running--;
    if (offset !== undefined) this.#nextOffset = offset + 1n;
    if (!this.#options.noAck && this.#open === open) {
      if (verdict === 'ack') open.acks.acked(tag);
      else {
        open.acks.rejected(tag);
        quietly(() => open.channel.reject(tagged(tag), verdict === 'requeue'));
      }
      if (!open.flushing) {
        open.flushing = true;
        setImmediate(() => this.#flush(open));
      }
    }
    if (this.#running === 0) this.#idle?.();
  }

  #flush(open: OpenConsumer): void {
    open.flushing = false;
    if (this.#open !== open) return;
    for (const { tag, multiple } of open.acks.take()) quietly(() => open.channel.ack(tagged(tag), multiple));
  }

  async close(): Promise<void> {
    if (this.#closing) return;
    this.#closing = true;
    const open = this.#open;
    if (this.#options.ending === 'channel') {
      if (open) this.#flush(open);
      this.#open = undefined;
      if (open) await closeQuietly(open.channel);
      this.#onClosed(this);
      return;
    }
    if (open) {
      try {
        await open.channel.cancel(open.tag);
      } catch {
        // The channel is gone, and with it the subscription.
      }
    }
    if (this.#running > 0) {
      await new Promise<void>(resolve => {
        this.#idle = resolve;
      });
    }
    if (open && this.#open === open) {
      this.#flush(open);
      this.#open = undefined;
      await closeQuietly(open.channel);
    }
    this.#onClosed(this);
  }
}

interface OpenConsumer {
  readonly channel: Channel;
  tag: string;
  readonly acks: AckWindow;
  flushing: boolean;
  lastOffset: bigint | undefined;
  isExpected: ReturnType<typeof arrivals>;
}

function asDelivery({ fields, properties, content }: ConsumeMessage, after: bigint | undefined): Delivery {
  const headers = properties.headers ?? {};
  const offset: unknown = headers['x-stream-offset'];
  const traceparent: unknown = headers.traceparent;
  return {
    type: text(properties.type) ?? '',
    key: fields.routingKey,
    body: content,
    messageId: text(properties.messageId) ?? '',
    correlationId: text(properties.correlationId),
    replyTo: text(properties.replyTo),
    userId: text(properties.userId),
    redelivered: fields.redelivered,
    traceparent: text(traceparent),
    offset: typeof offset === 'number' ? BigInt(offset) : undefined,
    ...(after === undefined ? {} : { after }),
  };
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

/** amqplib wants a message to ack, and reads only its tag. */
function tagged(deliveryTag: number): ConsumeMessage {
  return { fields: { deliveryTag } } as ConsumeMessage;
}

/** Acks on a channel that has just gone are void anyway: the broker delivers again. */
function quietly(act: () => void): void {
  try {
    act();
  } catch {}
}

/** Resolves as well when the connection goes meanwhile: amqplib's promise waits for the broker's answer, come what may. */
async function closeQuietly(channel: Channel): Promise<void> {
  try {
    await Promise.race([new Promise(gone => channel.once('close', gone)), channel.close()]);
  } catch {}
}
