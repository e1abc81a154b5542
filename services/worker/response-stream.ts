import type { Failure, Head } from '../../proto/gen/warren/proxy/v1/job.ts';
import { SendCredit } from '../lib/credit.ts';
import { messageOf } from '../lib/failure.ts';
import { type PartToSend, partBytes } from '../lib/parts.ts';

export interface ResponseTerms {
  readonly job: string;
  readonly attempt: string;
  /** Bytes of body that may go before the proxy says more. */
  readonly credit: number;
}

/**
 * One response on its way to the proxy: the upstream's head and bytes in, parts out, as far as there is credit. What comes in one turn
 * of the event loop goes together, so a short response is one part; what comes later is never waited for.
 */
export class ResponseStream {
  readonly #terms: ResponseTerms;
  readonly #send: (part: PartToSend) => Promise<void>;
  readonly #credit: SendCredit;
  readonly #begun = Promise.withResolvers<void>();
  readonly #ended = Promise.withResolvers<void>();
  #head: Head | undefined;
  #index = 0;
  #pending: Buffer[] = [];
  #pendingBytes = 0;
  #end: { failure: Failure | undefined } | undefined;
  #isScheduled = false;
  #isOver = false;
  /** There is room again after `data` said no. */
  onRoom: () => void = () => {};

  /** @param send resolves when the broker has the part */
  constructor(terms: ResponseTerms, send: (part: PartToSend) => Promise<void>) {
    this.#terms = terms;
    this.#send = send;
    this.#credit = new SendCredit(terms.credit);
    // Whoever does not wait for them is not to be bothered.
    this.#begun.promise.catch(() => {});
    this.#ended.promise.catch(() => {});
  }

  /** Resolves when the broker has the first part; never, if there is none. */
  get begun(): Promise<void> {
    return this.#begun.promise;
  }

  /** Resolves when the broker has the last part, or nothing more is to be sent. */
  get ended(): Promise<void> {
    return this.#ended.promise;
  }

  /** Whether the proxy may have heard of a response: then there cannot be another. */
  get hasBegun(): boolean {
    return this.#index > 0;
  }

  /** An informational head (1xx). */
  informed(head: Head): void {
    if (this.#head || this.#isOver) return;
    // Lost or late it does no harm.
    this.#send({ part: this.#part(head, false), body: [] }).catch(() => {});
  }

  head(head: Head): void {
    this.#head = head;
    this.#schedule();
  }

  /** @returns whether more is welcome; if not, `onRoom` says when */
  data(chunk: Buffer): boolean {
    if (this.#isOver || chunk.length === 0) return true;
    this.#pending.push(chunk);
    this.#pendingBytes += chunk.length;
    if (this.#pendingBytes >= partBytes) this.#flush();
    else this.#schedule();
    return this.#pendingBytes <= this.#credit.room;
  }

  /** The response is complete, or, with a failure, there is no response or no more of it. */
  end(failure?: Failure): void {
    if (this.#end) return;
    // The proxy has heard nothing of it yet: better a whole 502 than the beginning of what cannot be completed.
    if (failure && !this.hasBegun) this.restart();
    this.#end = { failure };
    this.#flush();
  }

  /** Another upstream is asked: what this one said is forgotten. Only before it has begun. */
  restart(): void {
    this.#head = undefined;
    this.#pending = [];
    this.#pendingBytes = 0;
  }

  /** What has begun will not be completed, also what is only waiting for credit: the last part says so at once. */
  cut(failure: Failure): void {
    this.#pending = [];
    this.#pendingBytes = 0;
    this.#end = { failure };
    this.#flush();
  }

  /** Nobody is told anything. */
  abandon(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.restart();
    this.#ended.resolve();
  }

  /** The proxy's word on how far the body may go. */
  creditUntil(until: number): void {
    if (!this.#credit.extend(until)) return;
    this.#flush();
    if (this.#pendingBytes <= this.#credit.room) this.onRoom();
  }

  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(() => {
      this.#isScheduled = false;
      this.#flush();
    });
  }

  #flush(): void {
    // Without a head there is nothing to be said but a failure.
    while (!this.#isOver && (this.#head || this.#end)) {
      const size = Math.min(partBytes, this.#pendingBytes, this.#credit.room);
      const isLast = this.#end !== undefined && size === this.#pendingBytes;
      if (size === 0 && this.#index > 0 && !isLast) return;
      const isFirst = this.#index === 0;
      const part = this.#part(isFirst ? this.#head : undefined, isLast);
      const sent = this.#send({ part, body: this.#take(size) });
      this.#index++;
      this.#credit.sent(size);
      if (isFirst) sent.then(this.#begun.resolve, this.#begun.reject);
      if (isLast) {
        this.#isOver = true;
        sent.then(this.#ended.resolve, error => (isFirst ? this.#ended.reject(error) : this.#showGap(error)));
      } else sent.catch(() => {});
    }
  }

  /** The last part is lost. One more, and the proxy sees that; without any it would wait for as long as we live. */
  #showGap(error: unknown): void {
    this.#end = { failure: { status: 502, reason: messageOf(error), upstream: '' } };
    this.#send({ part: this.#part(undefined, true), body: [] }).then(this.#ended.resolve, this.#ended.reject);
  }

  #part(head: Head | undefined, last: boolean): PartToSend['part'] {
    const { job, attempt } = this.#terms;
    return { job, attempt, index: this.#index, head, last, failure: last ? this.#end?.failure : undefined };
  }

  #take(size: number): Buffer[] {
    this.#pendingBytes -= size;
    const taken: Buffer[] = [];
    let left = size;
    while (left > 0) {
      const chunk = this.#pending[0] as Buffer;
      if (chunk.length <= left) {
        this.#pending.shift();
        taken.push(chunk);
        left -= chunk.length;
      } else {
        taken.push(chunk.subarray(0, left));
        this.#pending[0] = chunk.subarray(left);
        left = 0;
      }
    }
    return taken;
  }
}
