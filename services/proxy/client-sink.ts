import type { Socket } from 'node:net';
import type { Writable } from 'node:stream';
import { ReceiveCredit } from '../lib/credit.ts';

export interface SinkOptions {
  /** Milliseconds without a byte taken after which the client is cut. */
  readonly stallMs: number;
  /** How far the body may go by now, in bytes from its beginning. */
  credit(until: number): void;
}

/**
 * What a client takes of a streamed body, and how fast: each byte that the system has taken is credit for one more. A client that takes
 * nothing is cut; one that has nothing to take is left alone.
 */
export class ClientSink {
  readonly #stream: Writable;
  readonly #socket: Socket;
  readonly #options: SinkOptions;
  readonly #credit = new ReceiveCredit();
  #isDone = false;

  /** @param stream a response, or the socket itself once protocols were switched */
  constructor(stream: Writable, socket: Socket, options: SinkOptions) {
    this.#stream = stream;
    this.#socket = socket;
    this.#options = options;
    socket.on('timeout', this.#cut);
  }

  /** @returns false when it is more than was asked for */
  write(chunk: Buffer): boolean {
    if (chunk.length === 0) return true;
    if (!this.#credit.receive(chunk.length)) return false;
    // Node's timer sees also what the system takes of one large write.
    this.#socket.setTimeout(this.#options.stallMs);
    this.#stream.write(chunk, error => {
      if (!error) this.#taken(chunk.length);
    });
    return true;
  }

  #taken(bytes: number): void {
    const until = this.#credit.consume(bytes);
    if (this.#isDone) return;
    if (this.#credit.held === 0) this.#socket.setTimeout(0);
    if (until !== undefined) this.#options.credit(until);
  }

  readonly #cut = (): void => {
    if (!this.#isDone && this.#credit.held > 0) this.#socket.destroy();
  };

  /** Nothing more comes. What was written is still sent, within the same patience. */
  done(): void {
    this.#isDone = true;
    this.#socket.off('timeout', this.#cut);
  }
}
