import type { RoutedContent } from '../amqp/content.ts';

/** Where replies are asked for, and what their addresses begin with. */
export const replyAddress = 'amq.rabbitmq.reply-to';

export interface ReplyTaker {
  deliverReply(reply: RoutedContent): void;
}

/** Replies past any queue, to a channel that consumes from `replyAddress` (RabbitMQ, "Direct Reply-to"). */
export class DirectReplies {
  readonly #takers = new Map<string, ReplyTaker>();
  readonly #randomName: () => string;

  constructor(randomName: () => string) {
    this.#randomName = randomName;
  }

  /** @returns an address that nobody can guess, for this taker until it is closed */
  open(taker: ReplyTaker): string {
    const address = `${replyAddress}.${this.#randomName()}`;
    this.#takers.set(address, taker);
    return address;
  }

  close(address: string): void {
    this.#takers.delete(address);
  }

  has(address: string): boolean {
    return this.#takers.has(address);
  }

  /** @returns whether anybody has that address */
  deliver(address: string, reply: RoutedContent): boolean {
    const taker = this.#takers.get(address);
    taker?.deliverReply(reply);
    return taker !== undefined;
  }
}
