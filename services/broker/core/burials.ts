import { messageOf } from '../../lib/failure.ts';
import { encodeRoute } from '../amqp/content.ts';
import { deadProperties, isCycle } from './dead-letter.ts';
import type { Destination, Exchange } from './exchange.ts';
import type { Message } from './message.ts';
import type { DeadReason } from './queue-host.ts';
import type { QueueSettings } from './settings.ts';

/** What it takes to send a dead message on. */
export interface Graveyard<D extends Destination> {
  /** Seconds since the epoch. */
  now(): number;
  exchange(name: string): Exchange<D> | undefined;
  put(queue: D, message: Message): void;
  warn(line: string): void;
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
      try {
        this.#send(from, message, reason);
      } catch (error) {
        // Mostly nobody is there whose mistake it could be: messages expire by themselves. Kept, it would fail for ever.
        this.#graveyard.warn(`a message that died in ${from.name} is lost: ${messageOf(error)}`);
      }
      buried();
    });
    if (this.#isBurying) return;
    this.#isBurying = true;
    try {
      // Not by `shift`, which moves all the others when there are many.
      for (let at = 0; at < this.#waiting.length; at++) this.#waiting[at]?.();
    } finally {
      this.#waiting.length = 0;
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
      hasDied: true,
      kept: undefined,
    };
    for (const next of to) {
      if (reason !== 'rejected' && isCycle(properties, next.name)) continue;
      this.#graveyard.put(next, dead);
    }
  }
}
