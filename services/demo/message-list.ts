/** One message as the API shows it. */
export interface Message {
  readonly id: string;
  readonly author: string;
  readonly text: string;
  /** The replica that took it. */
  readonly replica: string;
  /** When it was taken, by that replica's clock (ISO 8601, UTC); null when not known. */
  readonly at: string | null;
}

/**
 * The last messages of the stream, in the stream's order, which is the same for every replica. Repeats are dropped by
 * id: a post whose confirm was lost is sent again, and a new session may deliver again what the last one did.
 */
export class MessageList {
  readonly #keep: number;
  readonly #remember: number;
  #newestFirst: readonly Message[] = [];
  /** In order of arrival; more than is kept, because a repeat may come long after its message has left the list. */
  readonly #ids = new Set<string>();

  constructor({ keep = 200, remember = 10_000 }: { keep?: number; remember?: number } = {}) {
    this.#keep = keep;
    this.#remember = Math.max(keep, remember);
  }

  /** @returns false when it was there already */
  add(message: Message): boolean {
    if (this.#ids.has(message.id)) return false;
    this.#ids.add(message.id);
    const [oldest = message.id] = this.#ids;
    if (this.#ids.size > this.#remember) this.#ids.delete(oldest);
    this.#newestFirst = [message, ...this.#newestFirst.slice(0, this.#keep - 1)];
    return true;
  }

  newestFirst(): readonly Message[] {
    return this.#newestFirst;
  }
}
