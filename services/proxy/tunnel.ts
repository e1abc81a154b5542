import { type ServerResponse, STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import { destroyLater } from '../lib/destroy-later.ts';
import type { ReceivedPart } from '../lib/parts.ts';
import { BodyPump } from './body-pump.ts';
import { ClientSink } from './client-sink.ts';
import type { JobHandle } from './dispatcher.ts';
import { responseFields } from './fields.ts';
import type { Streaming } from './streamed-response.ts';
import { closeFrame, FrameBoundary } from './websocket-frames.ts';

export interface TunnelTerms {
  readonly socket: Socket;
  /** What was switched to, in lower case. */
  readonly protocol: string;
  readonly job: JobHandle;
  /** What the client had said before it was heard. */
  readonly head: Buffer;
  readonly stallMs: number;
  /** Called once: with why it broke off, or without. */
  over(problem?: string): void;
}

/** Status codes of WebSocket (RFC 6455 §7.4.1 and its registry). */
const goingAway = 1001;
const tryAgainLater = 1013;
/** Milliseconds for a client that has taken the last word to close. */
const lastWordMs = 2_000;
/** What a worker says that broke off by itself: another one may do. */
const workersFault = 503;

/** Sends the 101 and takes the socket from HTTP. The upstream's `Upgrade` and `Connection` are this hop's as well. */
export function switchProtocols(response: ServerResponse, socket: Socket, received: readonly string[]): void {
  const fields = responseFields(received, false);
  for (let i = 0; i < received.length; i += 2)
    if (received[i]?.toLowerCase() === 'upgrade') fields.push('Upgrade', received[i + 1] ?? '');
  fields.push('Connection', 'Upgrade');
  let head = `HTTP/1.1 101 ${STATUS_CODES[101]}\r\n`;
  for (let i = 0; i < fields.length; i += 2) head += `${fields[i]}: ${fields[i + 1]}\r\n`;
  response.detachSocket(socket);
  socket.write(`${head}\r\n`, 'latin1');
}

/**
 * A connection on which protocols were switched: bytes both ways, each way with credit, until one side ends. What it says when it must end
 * by itself, a WebSocket client understands.
 */
export class Tunnel implements Streaming {
  readonly pump: BodyPump;
  readonly #terms: TunnelTerms;
  readonly #sink: ClientSink;
  readonly #boundary: FrameBoundary | undefined;
  #isOver = false;

  constructor(terms: TunnelTerms) {
    const { socket, job, head, protocol, stallMs } = terms;
    this.#terms = terms;
    this.#boundary = protocol === 'websocket' ? new FrameBoundary() : undefined;
    this.#sink = new ClientSink(socket, socket, { stallMs, credit: until => job.credit(until) });
    this.pump = new BodyPump(socket, head, {
      limitBytes: Number.POSITIVE_INFINITY,
      progressMs: undefined,
      send: (piece, last) => job.send(piece, last),
      refuse: () => {},
    });
    socket.setNoDelay(true);
    socket.on('error', () => socket.destroy());
    socket.once('close', () => {
      if (this.#isOver) return;
      job.abandon();
      this.#end();
    });
  }

  part({ body, failure, last }: ReceivedPart): void {
    if (this.#isOver) return;
    this.#boundary?.push(body);
    if (!this.#sink.write(body)) return this.#destroy('the worker sent more than was asked for');
    if (failure?.status === workersFault) return this.breakOff(failure.reason);
    if (failure) return this.#destroy(failure.reason);
    if (!last) return;
    this.#end();
    this.#linger(Buffer.alloc(0));
  }

  /** The broker or the worker is gone. */
  breakOff(reason: string): void {
    this.#leave(tryAgainLater, reason);
  }

  /** We are. */
  close(): void {
    this.#leave(goingAway, 'the proxy stops');
  }

  #leave(code: number, reason: string): void {
    if (this.#isOver) return;
    // In the middle of a frame there is no place for a word.
    if (!this.#boundary?.isBetweenFrames) return this.#destroy(reason);
    this.#end(reason);
    this.#terms.job.abandon();
    this.#linger(closeFrame(code, reason));
  }

  #destroy(reason: string): void {
    this.#end(reason);
    this.#terms.job.abandon();
    this.#terms.socket.destroy();
  }

  #end(problem?: string): void {
    this.#isOver = true;
    this.pump.stop();
    this.#sink.done();
    this.#terms.over(problem);
  }

  /** What was written is sent, what still comes is dropped: unread bytes would turn the end into a reset. */
  #linger(lastWord: Buffer): void {
    const { socket } = this.#terms;
    socket.resume();
    this.#sink.finish(lastWord, () => socket.end());
    socket.once('finish', () => destroyLater(socket, lastWordMs));
  }
}
