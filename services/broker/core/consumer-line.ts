import { AmqpError } from '../amqp/error.ts';
import type { QueueConsumer } from './queue-host.ts';

export interface LineOptions {
  /** `x-single-active-consumer`. */
  readonly isSingleActive: boolean;
  /** Whether a consumer may want to be alone: not with quorum queues. */
  readonly isExclusiveKnown: boolean;
}

/** Who gets the next message of a queue: its consumers in turn, or, with a single active one, who came first. */
export class ConsumerLine {
  readonly #isSingleActive: boolean;
  readonly #isExclusiveKnown: boolean;
  readonly #consumers: QueueConsumer[] = [];
  /** Index of whose turn it is. */
  #turn = 0;

  constructor({ isSingleActive, isExclusiveKnown }: LineOptions) {
    this.#isSingleActive = isSingleActive;
    this.#isExclusiveKnown = isExclusiveKnown;
  }

  get length(): number {
    return this.#consumers.length;
  }

  /** Whose turn it is, those without credit passed over. */
  next(): QueueConsumer | undefined {
    if (this.#isSingleActive) {
      const active = this.#consumers[0];
      return active?.hasCredit() ? active : undefined;
    }
    const count = this.#consumers.length;
    for (let step = 0; step < count; step++) {
      const index = (this.#turn + step) % count;
      const consumer = this.#consumers[index];
      if (consumer?.hasCredit()) {
        this.#turn = (index + 1) % count;
        return consumer;
      }
    }
    return undefined;
  }

  /** At its end. @throws AmqpError 403 when either side wants to be alone, or where one at a time is active anyway */
  add(consumer: QueueConsumer, queue: string): void {
    // One that is alone is the first.
    const isTaken =
      this.#consumers[0]?.exclusive === true ||
      (consumer.exclusive && (this.#isSingleActive || this.#consumers.length > 0));
    if (isTaken && this.#isExclusiveKnown) throw new AmqpError(403, `queue '${queue}' in vhost '/' in exclusive use`);
    this.#consumers.push(consumer);
  }

  /** @returns whether it was there */
  remove(consumer: QueueConsumer): boolean {
    const index = this.#consumers.indexOf(consumer);
    if (index === -1) return false;
    this.#consumers.splice(index, 1);
    if (index < this.#turn) this.#turn--;
    return true;
  }

  clear(): QueueConsumer[] {
    return this.#consumers.splice(0);
  }
}
