import type { Failure, Job } from '../../proto/gen/warren/proxy/v1/job.ts';
import type { Verdict } from '../bus/bus.ts';
import type { PartToSend } from '../lib/parts.ts';
import type { Balancer } from './balancer.ts';
import { type RequestPiece, RequestStream } from './request-stream.ts';
import { ResponseStream } from './response-stream.ts';
import { Cancellation, type Upstream, type UpstreamEnd } from './upstream.ts';

/** What all executions of a worker share. */
export interface ExecutionHost {
  readonly service: string;
  readonly balancer: Balancer;
  readonly upstreams: ReadonlyMap<string, Upstream>;
  /** Monotonic milliseconds. */
  readonly clock: () => number;
  readonly log: (line: string) => void;
  /** Resolves when the broker has the part. */
  send(session: string, part: PartToSend): Promise<void>;
  /** Tells the proxy how far a streamed request body may go. */
  grant(session: string, credit: { job: string; attempt: string; until: bigint }): void;
  /** Whether one more may run on after its job was acknowledged; if so, it is counted. */
  admit(): boolean;
  release(): void;
  /** Time to drain is over. */
  isForced(): boolean;
}

export interface ExecutionTerms {
  readonly id: string;
  /** The proxy's. */
  readonly session: string;
  readonly attempt: string;
  readonly job: Job;
  /** Until nobody waits for the beginning of a response. */
  readonly leftMs: number;
}

/**
 * One attempt at one job: the call to an upstream, and what it answers on its way to the proxy.
 *
 * Its modes: *calling*, until the response begins, at most until the deadline, which each piece of a streamed request body puts off;
 * *answering*, as long as it takes: from the broker's confirm of the first part on the job is acknowledged and holds no prefetch, if the
 * worker has room for one more such stream. It is over when the last part is confirmed, or when it is aborted.
 */
export class Execution {
  readonly session: string;
  readonly startedAt: number;
  /** When the job may be acknowledged, or not. */
  readonly verdict: Promise<Verdict>;
  /** When nothing of it is left. */
  readonly done: Promise<void>;
  readonly #host: ExecutionHost;
  readonly #terms: ExecutionTerms;
  readonly #control = new Cancellation();
  readonly #response: ResponseStream;
  readonly #request: RequestStream | undefined;
  #deadline: NodeJS.Timeout | undefined;
  #upstream = '';

  constructor(host: ExecutionHost, terms: ExecutionTerms) {
    const { id, session, attempt, job, leftMs } = terms;
    this.session = session;
    this.startedAt = host.clock();
    this.#host = host;
    this.#terms = terms;
    this.#response = new ResponseStream({ job: id, attempt, credit: job.responseCredit }, part =>
      host.send(session, part),
    );
    this.#response.onRoom = () => this.#control.resume();
    if (job.streamed)
      this.#request = new RequestStream(until => host.grant(session, { job: id, attempt, until: BigInt(until) }));
    this.#deadline = setTimeout(() => this.abort(), leftMs);
    const verdict = Promise.withResolvers<Verdict>();
    let isStream = false;
    let isOver = false;
    this.#response.onBegun = () => {
      if (isOver || !host.admit()) return;
      isStream = true;
      verdict.resolve('ack');
    };
    const over = (): void => {
      isOver = true;
      if (isStream) host.release();
    };
    const ended = this.#run();
    ended.then(verdict.resolve, verdict.reject);
    this.verdict = verdict.promise;
    this.done = ended.then(over, over);
  }

  /** Nobody waits for it any more. */
  abort(): void {
    this.#control.abort();
    if (this.#response.hasBegun)
      this.#response.cut({ status: 503, reason: 'the worker broke off', upstream: this.#upstream });
  }

  /** The connection that its parts went over is gone: what was begun cannot be finished; the rest goes on. */
  brokerLost(): void {
    // The proxy may have kept its own, and would wait for a response until the deadline.
    if (this.#request && !this.#response.hasBegun)
      this.#response.end(this.#failure('broken', 'the worker lost the broker'));
    if (this.#response.hasBegun) this.abort();
  }

  /** The broker did not take messages for a while: the last word on the body may not have gone out. */
  grantAgain(): void {
    this.#request?.sayCredit();
  }

  requestPart(attempt: string, piece: RequestPiece): void {
    if (attempt !== this.#terms.attempt) return;
    this.#request?.receive(piece);
    // A large upload takes its time; what counts is that it goes on.
    if (!this.#deadline) return;
    clearTimeout(this.#deadline);
    this.#deadline = setTimeout(() => this.abort(), this.#terms.job.deadlineMs);
  }

  responseCredit(attempt: string, until: bigint): void {
    if (attempt === this.#terms.attempt) this.#response.creditUntil(Number(until));
  }

  /** There is an answer, or none will come: there is nothing more to be in time for. */
  #isCalled(): void {
    clearTimeout(this.#deadline);
    this.#deadline = undefined;
  }

  async #run(): Promise<Verdict> {
    this.#request?.sayCredit();
    const { kind, reason } = await this.#call();
    this.#isCalled();
    this.#request?.destroy();
    const { job } = this.#terms;
    if (kind === 'aborted' && !this.#response.hasBegun) {
      this.#response.abandon();
      // Most often whoever asked has gone, or been answered. Broken off by us at the end of our drain, another may do it.
      return this.#host.isForced() && !job.claim ? 'requeue' : 'ack';
    }
    if (kind === 'complete') this.#response.end();
    else this.#response.end(this.#failure(kind, reason));
    // The ack waits for the confirm: were it to overtake a reply that is then lost, nobody would answer.
    await this.#response.ended;
    return 'ack';
  }

  #failure(kind: UpstreamEnd['kind'], reason: string): Failure {
    return { status: kind === 'invalid' ? 400 : 502, reason, upstream: this.#upstream };
  }

  /** Tries upstreams until one takes the request; a repeatable one is tried again also when it broke before the response. */
  async #call(): Promise<UpstreamEnd> {
    const { balancer, upstreams, clock, log, service } = this.#host;
    const { job } = this.#terms;
    const tried = new Set<string>();
    let mayRepeat = !job.claim;
    for (;;) {
      const url = balancer.choose(clock(), tried);
      const upstream = url === undefined ? undefined : upstreams.get(url);
      if (!upstream) return { kind: 'unsent', reason: `no upstream of ${service} can be reached` };
      tried.add(upstream.url);
      this.#upstream = upstream.place;
      balancer.began(upstream.url);
      const end = await this.#ask(upstream);
      balancer.ended(upstream.url, verdictOn(end.kind), clock());
      if (end.kind === 'unsent') {
        log(`upstream ${upstream.place} refused: ${end.reason}`);
        this.#upstream = '';
        continue;
      }
      if (end.kind === 'broken' && mayRepeat && !this.#response.hasBegun) {
        // Most often a kept-alive connection that the upstream closed as we used it: once more, there or elsewhere.
        mayRepeat = false;
        this.#response.restart();
        if (tried.size === upstreams.size) tried.delete(upstream.url);
        continue;
      }
      return end;
    }
  }

  #ask(upstream: Upstream): Promise<UpstreamEnd> {
    const { method, target, fields, body, bodyLength, upgrade } = this.#terms.job;
    const request = { method, target, fields, body: this.#request ?? body, bodyLength, upgrade };
    const response = this.#response;
    const listener = {
      informed: (status: number, received: string[]): void =>
        response.informed({ status, fields: received, upstream: upstream.place }),
      head: (status: number, received: string[]): void => {
        // From here on it takes as long as it takes.
        this.#isCalled();
        response.head({ status, fields: received, upstream: upstream.place });
      },
      data: (chunk: Buffer): boolean => response.data(chunk),
    };
    return upstream.call(request, listener, this.#control);
  }
}

/** What an outcome says of the upstream; one that we broke off, or never sent, says nothing. */
function verdictOn(kind: UpstreamEnd['kind']): 'ok' | 'failed' | 'refused' | 'unknown' {
  switch (kind) {
    case 'complete':
      return 'ok';
    case 'unsent':
      return 'refused';
    case 'broken':
      return 'failed';
    case 'aborted':
    case 'invalid':
      return 'unknown';
  }
}
