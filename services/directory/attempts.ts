import { AttemptLimiter } from '../lib/attempt-limiter.ts';
import { CallFailure } from '../lib/rpc/call-failure.ts';

/** Ten slips at once, then one every ten seconds: 8,640 guesses a day at most, from wherever they come. */
const perAccount = { burst: 10, refillMs: 10_000, maxKeys: 10_000 };
/** A class behind one address logs in at once; guesses at many accounts get two a second. */
const perAddress = { burst: 60, refillMs: 500, maxKeys: 10_000 };

/** Guesses at passwords, whatever they are given for: counted by account and by address. */
export class Attempts {
  readonly #byAccount = new AttemptLimiter(perAccount);
  readonly #byAddress = new AttemptLimiter(perAddress);
  readonly #clock: () => number;

  /** @param clock milliseconds, monotonic */
  constructor(clock: () => number) {
    this.#clock = clock;
  }

  /** One that counts whatever comes of it. @throws CallFailure DIRECTORY_ATTEMPTS */
  spend(address: string): void {
    refuse(this.#byAddress.waitMs(address, this.#clock()));
    this.#byAddress.take(address, this.#clock());
  }

  /** One that counts unless it is right. @returns what `isRight` says @throws CallFailure DIRECTORY_ATTEMPTS, without asking it */
  async check(username: string, address: string, isRight: () => Promise<boolean>): Promise<boolean> {
    const key = username.slice(0, 64);
    refuse(Math.max(this.#byAccount.waitMs(key, this.#clock()), this.#byAddress.waitMs(address, this.#clock())));
    this.#byAccount.take(key, this.#clock());
    this.#byAddress.take(address, this.#clock());
    const right = await isRight();
    if (right) {
      this.#byAccount.giveBack(key, this.#clock());
      this.#byAddress.giveBack(address, this.#clock());
    }
    return right;
  }
}

function refuse(waitMs: number): void {
  if (waitMs === 0) return;
  const seconds = Math.ceil(waitMs / 1000);
  throw new CallFailure('RESOURCE_EXHAUSTED', 'DIRECTORY_ATTEMPTS', `too many attempts: try again in ${seconds} s`, {
    retryAfterMs: waitMs,
  });
}
