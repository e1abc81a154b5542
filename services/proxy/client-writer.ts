import { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Writable } from 'node:stream';

/** Bytes handed to the system at once. */
const pieceBytes = 64 * 1024;

/**
 * Writes to a client, and cuts one that takes no piece for so long. Piece by piece, because Node's timer of a TLS socket sees a write only
 * when all of it is done: a client that takes a large one slowly would be cut. Not timed are a client that has nothing to take, a response
 * that waits for its turn on a pipelined connection, and all that comes after the end: then the connection's time is Node's again.
 */
export class ClientWriter {
  readonly #stream: Writable;
  readonly #socket: Socket;
  readonly #stallMs: number;
  readonly #queue: { piece: Buffer; taken: (bytes: number) => void }[] = [];
  #isWriting = false;
  #end: (() => void) | undefined;
  #isTimed = false;
  #isListening = false;

  /** @param stream a response, or the socket itself once protocols were switched */
  constructor(stream: Writable, socket: Socket, stallMs: number) {
    this.#stream = stream;
    this.#socket = socket;
    this.#stallMs = stallMs;
    if (!this.#isTurn) stream.once('socket', () => this.#time(this.#isTimed));
    // Before Node sets its own.
    stream.prependOnceListener('finish', () => {
      this.#time(false);
      socket.off('timeout', this.#cut);
    });
  }

  /** @param taken called for each piece that the system has taken */
  write(bytes: Buffer, taken: (bytes: number) => void = () => {}): void {
    for (let at = 0; at < bytes.length; at += pieceBytes)
      this.#queue.push({ piece: bytes.subarray(at, at + pieceBytes), taken });
    this.#time(true);
    if (!this.#isWriting) this.#next();
  }

  /** Nothing more comes. @param end called when all has been handed over: ends the stream */
  end(end: () => void): void {
    this.#time(true);
    if (this.#queue.length === 0) end();
    else this.#end = end;
  }

  #next(): void {
    const next = this.#queue.shift();
    this.#isWriting = next !== undefined;
    if (!next) {
      if (!this.#stream.writableEnded) this.#time(false);
      return;
    }
    const { piece, taken } = next;
    this.#stream.write(piece, error => {
      if (error) return;
      taken(piece.length);
      this.#next();
    });
    if (this.#queue.length === 0) this.#end?.();
  }

  get #isTurn(): boolean {
    return !(this.#stream instanceof ServerResponse) || this.#stream.socket !== null;
  }

  #time(isTimed: boolean): void {
    this.#isTimed = isTimed;
    if (!this.#isTurn) return;
    this.#socket.setTimeout(isTimed ? this.#stallMs : 0);
    if (!isTimed || this.#isListening) return;
    this.#isListening = true;
    this.#socket.on('timeout', this.#cut);
  }

  readonly #cut = (): void => {
    if (this.#isTimed) this.#socket.destroy();
  };
}
