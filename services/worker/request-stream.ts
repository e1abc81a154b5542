import { Readable } from 'node:stream';
import { ReceiveCredit } from '../lib/credit.ts';

export interface RequestPiece {
  readonly index: number;
  readonly body: Buffer;
  readonly last: boolean;
}

/** What is held between the parts and the upstream's socket, beside the window. */
const highWaterMark = 64 * 1024;

/**
 * A streamed request body, from parts that the proxy sends as far as it was given credit. Ends with the last part; is destroyed with an
 * error when parts are missing or go beyond the credit.
 */
export class RequestStream extends Readable {
  readonly #credit = new ReceiveCredit();
  readonly #grant: (until: number) => void;
  readonly #waiting: Buffer[] = [];
  #next = 0;
  #isWhole = false;
  #isWanted = false;

  /** @param grant tells the proxy how far the body may go, in bytes from its beginning */
  constructor(grant: (until: number) => void) {
    super({ highWaterMark });
    this.#grant = grant;
    // Whoever reads it hears of its errors; nobody may be reading yet.
    this.on('error', () => {});
  }

  /** Says how far the body may go: at the beginning, and whenever that word may have been lost. */
  sayCredit(): void {
    if (!this.destroyed && !this.#isWhole) this.#grant(this.#credit.until);
  }

  receive({ index, body, last }: RequestPiece): void {
    if (this.destroyed || this.#isWhole || index < this.#next) return;
    if (index > this.#next) return void this.destroy(new Error('a part of the request body was lost'));
    this.#next++;
    if (!this.#credit.receive(body.length)) return void this.destroy(new Error('more request body than was asked for'));
    if (body.length > 0) this.#waiting.push(body);
    this.#isWhole = last;
    if (this.#isWanted) this._read();
  }

  override _read(): void {
    this.#isWanted = true;
    while (this.#isWanted) {
      const chunk = this.#waiting.shift();
      if (!chunk) break;
      this.#isWanted = this.push(chunk);
      const until = this.#credit.consume(chunk.length);
      if (until !== undefined && !this.#isWhole) this.#grant(until);
    }
    if (this.#isWhole && this.#waiting.length === 0) this.push(null);
  }
}
