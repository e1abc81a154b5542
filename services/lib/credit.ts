/**
 * Flow control of one body between two processes: its receiver says how far it may go, counted in bytes from its beginning. The limit is
 * absolute, so that a word lost, late or doubled changes nothing (as MAX_STREAM_DATA, RFC 9000 §4.1).
 */

/** The sender's side. */
export class SendCredit {
  #until: number;
  #sent = 0;

  constructor(until = 0) {
    this.#until = until;
  }

  /** Bytes that may go now. */
  get room(): number {
    return Math.max(0, this.#until - this.#sent);
  }

  sent(bytes: number): void {
    this.#sent += bytes;
  }

  /** @returns whether that makes room */
  extend(until: number): boolean {
    if (until <= this.#until) return false;
    this.#until = until;
    return true;
  }
}

export interface CreditWindow {
  /** Bytes on their way at first. */
  readonly firstBytes: number;
  readonly mostBytes: number;
}

/**
 * A window that one slow reader costs little, and that carries a fast one over a long way: 4 MiB at 100 ms from end to end are 40 MiB/s.
 */
export const bodyWindow: CreditWindow = { firstBytes: 256 * 1024, mostBytes: 4 * 1024 * 1024 };

/**
 * The receiver's side. What it holds at most is its window; the window doubles while whoever takes the bytes waits for them, and stays
 * small in front of one that is slow.
 */
export class ReceiveCredit {
  readonly #mostBytes: number;
  #window: number;
  #until: number;
  #received = 0;
  #consumed = 0;

  constructor({ firstBytes, mostBytes }: CreditWindow = bodyWindow) {
    this.#window = firstBytes;
    this.#mostBytes = mostBytes;
    this.#until = firstBytes;
  }

  /** What was granted so far. */
  get until(): number {
    return this.#until;
  }

  /** Received and not yet consumed. */
  get held(): number {
    return this.#received - this.#consumed;
  }

  /** @returns whether the sender was allowed to */
  receive(bytes: number): boolean {
    this.#received += bytes;
    return this.#received <= this.#until;
  }

  /** Bytes have gone to whoever takes them. @returns the new limit, when it is time to tell the sender */
  consume(bytes: number): number | undefined {
    this.#consumed += bytes;
    if (this.#until - this.#consumed > this.#window / 2) return undefined;
    // All that came has been taken: it is the way that is slow, not the taker.
    if (this.held < this.#window / 8) this.#window = Math.min(this.#mostBytes, this.#window * 2);
    this.#until = this.#consumed + this.#window;
    return this.#until;
  }
}
