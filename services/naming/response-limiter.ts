import { AttemptLimiter } from '../lib/attempt-limiter.ts';

export interface ResponseRate {
  /** Answers to one address, in the long run; 0: no limit. */
  readonly perSecond: number;
}

/**
 * How an asker over UDP is answered: `whole`; `brief`, only that it is to ask over TCP, where nobody can pretend to be another;
 * or not at all. Whoever pretends to be another thus sends that one half as many answers as questions, none larger than its
 * question; and who is pretended to be still gets through, over TCP.
 */
export type Answering = 'whole' | 'brief' | 'none';

export class ResponseLimiter {
  readonly #limiter: AttemptLimiter | undefined;
  #slips = 0;

  constructor({ perSecond }: ResponseRate) {
    if (perSecond > 0)
      this.#limiter = new AttemptLimiter({ burst: 2 * perSecond, refillMs: 1_000 / perSecond, maxKeys: 10_000 });
  }

  /** @param address whom the answer goes to @param now in milliseconds, monotonic */
  next(address: string, now: number): Answering {
    if (this.#limiter === undefined) return 'whole';
    if (this.#limiter.waitMs(address, now) === 0) {
      this.#limiter.take(address, now);
      return 'whole';
    }
    this.#slips = (this.#slips + 1) % 2;
    return this.#slips === 1 ? 'brief' : 'none';
  }
}
