import type { IncomingMessage, ServerResponse } from 'node:http';
import { TLSSocket } from 'node:tls';
import type { ReceivedPart } from '../lib/parts.ts';
import { ClientSink } from './client-sink.ts';
import type { JobHandle } from './dispatcher.ts';
import type { BodyBudget } from './request-body.ts';
import { guardOf } from './wire/guard.ts';

/** What goes on behind the first part of a response. */
export interface Streaming {
  part(part: ReceivedPart): void;
  /** It cannot go on: the client must not take what it has for the whole. */
  breakOff(reason: string): void;
}

export interface StreamedTerms {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly job: JobHandle;
  readonly budget: BodyBudget;
  /** Bytes of body that were promised to the client; undefined: until its end. */
  readonly length: number | undefined;
  readonly stallMs: number;
  /** Given the whole body if it stays below this many bytes. */
  readonly keep: { readonly limitBytes: number; readonly store: (whole: Buffer) => void } | undefined;
  /** Called once: with why it broke off, or without. */
  over(problem?: string): void;
}

/** Milliseconds without a part after which a client that has sent its end counts as gone. */
const silenceMs = 250;

/**
 * A response whose head is with the client already, and whose body goes there as it comes. Ends as the upstream's did: whole, or broken off
 * (RFC 9112 §8), never with a clean end before its time.
 */
export class StreamedResponse implements Streaming {
  readonly #terms: StreamedTerms;
  readonly #sink: ClientSink;
  #left: number | undefined;
  #kept: Buffer[] | undefined;
  #keptBytes = 0;
  #isOver = false;
  #silence: NodeJS.Timeout | undefined;

  constructor(terms: StreamedTerms) {
    const { request, response, job, length, stallMs, keep } = terms;
    this.#terms = terms;
    this.#left = length;
    this.#kept = keep && [];
    this.#sink = new ClientSink(response, request.socket, { stallMs, credit: until => job.credit(until) });
    response.flushHeaders();
    response.once('close', () => this.#end());
    if (request.socket.readableEnded) this.#onClientsEnd();
    else request.socket.once('end', this.#onClientsEnd);
  }

  part({ body, failure, last }: ReceivedPart): void {
    if (this.#isOver) return;
    this.#silence?.refresh();
    if (this.#left !== undefined) {
      if (body.length > this.#left) return this.breakOff('the upstream sent more than it said');
      this.#left -= body.length;
    }
    this.#keep(body);
    if (!this.#sink.write(body)) return this.breakOff('the worker sent more than was asked for');
    if (failure) return this.breakOff(failure.reason);
    if (!last) return;
    if (this.#left) return this.breakOff('the upstream sent less than it said');
    if (this.#kept) this.#terms.keep?.store(Buffer.concat(this.#kept, this.#keptBytes));
    this.#end();
    this.#terms.over();
    this.#finish();
  }

  breakOff(reason: string): void {
    if (this.#isOver) return;
    this.#end();
    this.#terms.job.abandon();
    this.#terms.over(reason);
    this.#breakConnection();
  }

  /**
   * The client has sent its end. One that still listens gets what comes; one that has gone answers what is written to it with a reset. When
   * nothing comes there is nothing to tell them by, and who listens for long in silence does not close half of its connection.
   */
  readonly #onClientsEnd = (): void => {
    if (this.#isOver) return;
    this.#silence = setTimeout(() => {
      // Silence that the client makes is another's to judge.
      if (this.#sink.isBusy) this.#silence?.refresh();
      else this.breakOff('client went away');
    }, silenceMs);
  };

  /** Where the end of the connection would be the end of the body, it is a reset; TLS tells the two apart by itself. */
  #breakConnection(): void {
    const { request, response, length } = this.#terms;
    const { socket } = request;
    // Pipelined behind one that is not answered yet: that one first.
    if (!response.socket) return void response.once('socket', () => this.#breakConnection());
    const isFramed = response.chunkedEncoding || length !== undefined;
    if (isFramed || socket instanceof TLSSocket) socket.destroy();
    else socket.resetAndDestroy();
  }

  #end(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    clearTimeout(this.#silence);
    this.#terms.request.socket.off('end', this.#onClientsEnd);
    this.#sink.done();
    this.#forget();
  }

  #finish(): void {
    const { request, response } = this.#terms;
    // Answered before all of the request had come: what is still on its way is not the next one.
    if (!request.complete) guardOf(request.socket)?.leave();
    this.#sink.finish(Buffer.alloc(0), () => response.end());
  }

  #keep(body: Buffer): void {
    const { keep, budget } = this.#terms;
    if (!this.#kept || !keep) return;
    if (this.#keptBytes + body.length > keep.limitBytes || !budget.take(body.length)) return this.#forget();
    this.#keptBytes += body.length;
    this.#kept.push(Buffer.from(body));
  }

  #forget(): void {
    this.#kept = undefined;
    this.#terms.budget.give(this.#keptBytes);
    this.#keptBytes = 0;
  }
}
