import type { IncomingMessage, ServerResponse } from 'node:http';
import type { ReceivedPart } from '../lib/parts.ts';
import { ClientSink } from './client-sink.ts';
import type { JobHandle } from './dispatcher.ts';
import type { BodyBudget } from './request-body.ts';

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

/** How long a client may go on sending what nobody will read. */
const lingerMs = 1_000;

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

  constructor(terms: StreamedTerms) {
    const { request, response, job, length, stallMs, keep } = terms;
    this.#terms = terms;
    this.#left = length;
    this.#kept = keep && [];
    this.#sink = new ClientSink(response, request.socket, { stallMs, credit: until => job.credit(until) });
    response.flushHeaders();
    response.once('close', () => this.#end());
  }

  part({ body, failure, last }: ReceivedPart): void {
    if (this.#isOver) return;
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
    this.#terms.request.socket.destroy();
  }

  #end(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#sink.done();
    this.#forget();
  }

  /** Answered before all of the request had come: what is on its way is read and dropped for a moment, or a reset would overtake the answer. */
  #finish(): void {
    const { request, response } = this.#terms;
    if (request.complete || request.destroyed) return void response.end();
    const finish = (): void => {
      clearTimeout(timer);
      response.end();
    };
    const timer = setTimeout(finish, lingerMs);
    request.once('end', finish).once('close', finish).resume();
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
