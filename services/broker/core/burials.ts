import { encodeRoute } from '../amqp/content.ts';
import { deadProperties, isCycle } from './dead-letter.ts';
import type { Destination, Exchange } from './exchange.ts';
import type { Message } from './message.ts';
import type { DeadReason } from './queue.ts';
import type { QueueSettings } from './settings.ts';

/** What it takes to send a dead message on. */
export interface Graveyard<D extends Destination> {
  /** Seconds since the epoch. */
  now(): number;
  exchange(name: string): Exchange<D> | undefined;
  put(queue: D, message: Message): void;
}

/** Sends dead messages where their queues say, one after the other: a burial may fill a queue that then drops its oldest, and so on. */
export class Burials<D extends Destination> {
  readonly #graveyard: Graveyard<D>;
  readonly #waiting: (() => void)[] = [];
  #isBurying = false;

  constructor(graveyard: Graveyard<D>) {
    this.#graveyard = graveyard;
  }

  /** @param buried called when it is where it goes, which may be nowhere */
  bury(from: QueueSettings, message: Message, reason: DeadReason, buried: () => void): void {
    this.#waiting.push(() => {
      this.#send(from, message, reason);
      buried();
    });
    if (this.#isBurying) return;
    this.#isBurying = true;
    try {
      for (let next = this.#waiting.shift(); next; next = this.#waiting.shift()) next();
    } finally {
      this.#isBurying = false;
    }
  }

  #send({ name: queue, deadLetterExchange, deadLetterKey }: QueueSettings, message: Message, reason: DeadReason): void {
    const exchange = deadLetterExchange === undefined ? undefined : this.#graveyard.exchange(deadLetterExchange);
    if (!exchange) return;
    const { name } = exchange.settings;
    const key = deadLetterKey ?? message.key;
    const to = exchange.route(key);
    if (to.length === 0) return;
    const properties = deadProperties(message, queue, reason, this.#graveyard.now());
    const dead: Message = {
      ...message,
      exchange: name,
      key,
      route: encodeRoute(name, key),
      properties,
      expirationMs: undefined,
    };
    for (const next of to) {
      if (reason !== 'rejected' && isCycle(properties, next.name)) continue;
      this.#graveyard.put(next, dead);
    }
  }
}
