import type { Message } from '../core/message.ts';
import { queueSettings } from '../core/settings.ts';
import { StreamQueue } from '../core/stream.ts';
import type { ChannelConsumer } from './consumer.ts';

/** Replies past any queue, to a channel that consumes from this address (RabbitMQ, "Direct Reply-to"). */
export class DirectReplies {
  readonly address = 'amq.rabbitmq.reply-to';
  /** Stands for the queue that these consumers do not have. */
  readonly queue = new StreamQueue(
    queueSettings({
      name: 'amq.rabbitmq.reply-to',
      durable: true,
      exclusive: false,
      autoDelete: false,
      arguments: { 'x-queue-type': 'stream' },
    }),
    {
      state: () => undefined,
      append: () => {},
      truncate: () => {},
      read: () => [],
      offsetSince: () => 0,
      offsetKeeping: () => 0,
    },
    () => 0,
    () => {},
  );
  readonly #consumers = new Map<string, ChannelConsumer>();
  readonly #randomName: () => string;

  constructor(randomName: () => string) {
    this.#randomName = randomName;
  }

  /** @returns the unguessable address of this consumer */
  open(consumer: ChannelConsumer): string {
    const name = `${this.address}.${this.#randomName()}`;
    this.#consumers.set(name, consumer);
    return name;
  }

  close(name: string): void {
    this.#consumers.delete(name);
  }

  /** @returns whether it is addressed to one of them, there or gone */
  deliver(message: Message): boolean {
    if (!message.key.startsWith(`${this.address}.`)) return false;
    this.#consumers.get(message.key)?.deliverDirect(message);
    return true;
  }
}
