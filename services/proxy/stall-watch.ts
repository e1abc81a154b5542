import { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Writable } from 'node:stream';

/**
 * Cuts a client that takes no byte for so long of what it is being sent. Off while there is nothing to take, while a response waits for its
 * turn on a pipelined connection, and from the end of the response on: then the connection's time is Node's again.
 */
export class StallWatch {
  readonly #stream: Writable;
  readonly #socket: Socket;
  readonly #stallMs: number;
  #isWaiting = false;

  /** @param stream a response, or the socket itself once protocols were switched */
  constructor(stream: Writable, socket: Socket, stallMs: number) {
    this.#stream = stream;
    this.#socket = socket;
    this.#stallMs = stallMs;
    socket.on('timeout', this.#cut);
    if (!this.#isTurn) stream.once('socket', () => this.waits(this.#isWaiting));
    // Before Node sets its own.
    stream.prependOnceListener('finish', () => {
      this.waits(false);
      socket.off('timeout', this.#cut);
    });
  }

  /** Whether there is something for the client to take. */
  waits(isWaiting: boolean): void {
    this.#isWaiting = isWaiting;
    // Node's timer sees also what the system takes of one large write.
    if (this.#isTurn) this.#socket.setTimeout(isWaiting ? this.#stallMs : 0);
  }

  get #isTurn(): boolean {
    return !(this.#stream instanceof ServerResponse) || this.#stream.socket !== null;
  }

  readonly #cut = (): void => {
    if (this.#isWaiting && this.#isTurn) this.#socket.destroy();
  };
}
