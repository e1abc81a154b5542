import type { Channel, ConsumeMessage, Options } from 'amqplib';
import { patienceMs } from './wire/peer.ts';

/** What a consumer got, to be awaited one by one. */
export class Inbox {
  readonly #messages: ConsumeMessage[] = [];
  readonly #waiting: ((message: ConsumeMessage) => void)[] = [];
  readonly #cancelled = Promise.withResolvers<void>();
  /** Resolves when the broker ended the subscription. */
  readonly cancelled = this.#cancelled.promise;
  consumerTag = '';

  readonly take = (message: ConsumeMessage | null): void => {
    if (message === null) return this.#cancelled.resolve();
    const waiting = this.#waiting.shift();
    if (waiting) waiting(message);
    else this.#messages.push(message);
  };

  /** The next message, also one that came before it was asked for. */
  next(): Promise<ConsumeMessage> {
    const message = this.#messages.shift();
    if (message) return Promise.resolve(message);
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`no message within ${patienceMs} ms`)), patienceMs);
      this.#waiting.push(arrived => {
        clearTimeout(timer);
        resolve(arrived);
      });
    });
  }

  /** The bodies of the next messages, as text. */
  async bodies(count: number): Promise<string[]> {
    const bodies: string[] = [];
    for (let i = 0; i < count; i++) bodies.push((await this.next()).content.toString());
    return bodies;
  }

  /** How many have come and were not asked for. */
  get size(): number {
    return this.#messages.length;
  }
}

/** Consumes into an inbox; nothing is acked but by the test. */
export async function consume(channel: Channel, queue: string, options: Options.Consume = {}): Promise<Inbox> {
  const inbox = new Inbox();
  const { consumerTag } = await channel.consume(queue, inbox.take, options);
  inbox.consumerTag = consumerTag;
  return inbox;
}

/** An exclusive queue with a consumer that acks nothing because it need not. */
export async function listen(channel: Channel, bindings: readonly { exchange: string; key: string }[]): Promise<Inbox> {
  const { queue } = await channel.assertQueue('', { exclusive: true, durable: false });
  for (const { exchange, key } of bindings) await channel.bindQueue(queue, exchange, key);
  return consume(channel, queue, { noAck: true });
}
