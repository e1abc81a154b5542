import { AmqpError } from '../amqp/error.ts';
import { limits } from './limits.ts';
import { MessageQueue } from './queue.ts';
import type { StreamQueue } from './stream.ts';

export type Queue = MessageQueue | StreamQueue;

/** Messages since the start. */
export interface Totals {
  readonly published: number;
  readonly delivered: number;
  readonly acked: number;
}

/** The broker's queues by name, and by the connection that exclusive ones belong to. */
export class Queues {
  readonly #queues = new Map<string, Queue>();
  readonly #owned = new Map<object, Set<MessageQueue>>();
  /** What queues that are deleted had counted. */
  #gone: Totals = { published: 0, delivered: 0, acked: 0 };

  find(name: string): Queue | undefined {
    return this.#queues.get(name);
  }

  /** @throws AmqpError 404, 405 */
  get(name: string, owner: object): Queue {
    const queue = this.#queues.get(name);
    if (!queue) throw notFound(name);
    checkOwner(queue, owner);
    return queue;
  }

  all(): IterableIterator<Queue> {
    return this.#queues.values();
  }

  /** Of all queues that there are and were. */
  get totals(): Totals {
    let totals = this.#gone;
    for (const queue of this.#queues.values()) totals = added(totals, queue);
    return totals;
  }

  get size(): number {
    return this.#queues.size;
  }

  /** @throws AmqpError 406 when there are too many */
  checkRoom(name: string): void {
    if (this.#queues.size < limits.queues) return;
    throw new AmqpError(406, `cannot declare queue '${name}': queue limit in vhost '/' (${limits.queues}) is reached`);
  }

  add(queue: Queue): void {
    this.#queues.set(queue.name, queue);
    if (!(queue instanceof MessageQueue) || !queue.owner) return;
    const owned = this.#owned.get(queue.owner) ?? new Set();
    owned.add(queue);
    this.#owned.set(queue.owner, owned);
  }

  remove(queue: Queue): void {
    this.#queues.delete(queue.name);
    this.#gone = added(this.#gone, queue);
    if (!(queue instanceof MessageQueue) || !queue.owner) return;
    const owned = this.#owned.get(queue.owner);
    owned?.delete(queue);
    if (owned?.size === 0) this.#owned.delete(queue.owner);
  }

  /** The exclusive queues of a connection. */
  ownedBy(owner: object): readonly MessageQueue[] {
    return [...(this.#owned.get(owner) ?? [])];
  }
}

export function notFound(queue: string): AmqpError {
  return new AmqpError(404, `no queue '${queue}' in vhost '/'`);
}

/** @param exclusive as declared anew @throws AmqpError 405 */
export function checkOwner(queue: Queue, owner: object, exclusive?: boolean): void {
  const owned = queue instanceof MessageQueue ? queue.owner : undefined;
  const isMismatch = exclusive !== undefined && exclusive !== (owned !== undefined);
  if ((owned === undefined || owned === owner) && !isMismatch) return;
  throw new AmqpError(
    405,
    `cannot obtain exclusive access to locked queue '${queue.name}' in vhost '/'. It could be originally declared on another connection or the exclusive property value does not match that of the original declaration.`,
  );
}

function added(totals: Totals, { published, delivered, acked }: Queue): Totals {
  return {
    published: totals.published + published,
    delivered: totals.delivered + delivered,
    acked: totals.acked + acked,
  };
}
