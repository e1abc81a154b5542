import type { Socket } from 'node:net';
import type { Writable } from 'node:stream';
import { ReceiveCredit } from '../lib/credit.ts';
import { ClientWriter } from './client-writer.ts';

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
  readonly #options: SinkOptions;
  readonly #credit = new ReceiveCredit();
  readonly #writer: ClientWriter;
  #isDone = false;

  /** @param stream a response, or the socket itself once protocols were switched */
  constructor(stream: Writable, socket: Socket, options: SinkOptions) {
    this.#options = options;
    this.#writer = new ClientWriter(stream, socket, options.stallMs);
  }

  /** The client has not taken all that came. */
  get isBusy(): boolean {
    return this.#credit.held > 0;
  }

  /** @returns false when it is more than was asked for */
  write(chunk: Buffer): boolean {
    if (chunk.length === 0) return true;
    if (!this.#credit.receive(chunk.length)) return false;
    this.#writer.write(chunk, this.#taken);
    return true;
  }

  readonly #taken = (bytes: number): void => {
    const until = this.#credit.consume(bytes);
    if (until !== undefined && !this.#isDone) this.#options.credit(until);
  };

  /** Nothing more comes. */
  done(): void {
    this.#isDone = true;
  }

  /** After `done`: what was written, a last word of ours, and the end are still sent, within the same patience. */
  finish(lastWord: Buffer, end: () => void): void {
    this.#writer.write(lastWord);
    this.#writer.end(end);
  }
}
