import type { Outgoing } from './bus.ts';

/** A message that somebody waits to see confirmed. */
export interface Pending {
  readonly message: Outgoing & { messageId: string };
  /** Times that the broker nacked it. */
  refusals: number;
  /** The broker had no queue for it. */
  isReturned?: boolean;
  resolve(): void;
  reject(reason: Error): void;
}

/**
 * Messages from `publish` until their confirm, in order. After a lost session all of them are sent again; after a
 * *refused* one (the broker closed the channel over a message: too large, false `userId`, no such exchange) they go one at a
 * time, so that the one at fault shows itself and the others get through.
 */
export class Outbox {
  readonly #pending = new Map<string, Pending>();
  #oneByOne = false;

  get size(): number {
    return this.#pending.size;
  }

  get oneByOne(): boolean {
    return this.#oneByOne;
  }

  add(pending: Pending): void {
    this.#pending.set(pending.message.messageId, pending);
  }

  /** @returns whether it was still waited for */
  remove(messageId: string): boolean {
    const removed = this.#pending.delete(messageId);
    if (this.#pending.size === 0) this.#oneByOne = false;
    return removed;
  }

  /** From now on one at a time, until empty. */
  suspect(): void {
    this.#oneByOne = this.#pending.size > 0;
  }

  returned(messageId: string): void {
    const pending = this.#pending.get(messageId);
    if (pending) pending.isReturned = true;
  }

  first(): Pending | undefined {
    return this.#pending.values().next().value;
  }

  all(): Pending[] {
    return [...this.#pending.values()];
  }
}
