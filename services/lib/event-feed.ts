import { CallFailure } from './rpc/call-failure.ts';

/** Events, each of them, for any number of followers; one that does not keep up is cut off, and no other waits for it. */
export class EventFeed<T> {
  readonly #followers = new Set<(event: T) => void>();
  readonly #most: number;

  /** @param most events that may wait for one follower */
  constructor(most = 1_000) {
    this.#most = most;
  }

  tell(event: T): void {
    for (const take of [...this.#followers]) take(event);
  }

  /**
   * What happens from now on, that is from this call on, until the signal aborts.
   * @throws CallFailure FEED_BEHIND, from the iterator
   */
  follow(signal: AbortSignal): AsyncIterable<T> {
    const waiting: T[] = [];
    let isBehind = false;
    let wake = (): void => {};
    const take = (event: T): void => {
      if (waiting.length >= this.#most) {
        isBehind = true;
        this.#followers.delete(take);
      } else waiting.push(event);
      wake();
    };
    const end = (): void => {
      this.#followers.delete(take);
      wake();
    };
    if (!signal.aborted) this.#followers.add(take);
    signal.addEventListener('abort', end, { once: true });
    async function* events(): AsyncGenerator<T> {
      try {
        for (;;) {
          if (signal.aborted) return;
          yield* waiting.splice(0);
          if (waiting.length > 0) continue;
          if (isBehind)
            throw new CallFailure(
              'RESOURCE_EXHAUSTED',
              'FEED_BEHIND',
              'too slow: what happened meanwhile is to be asked for',
            );
          if (signal.aborted) return;
          await new Promise<void>(resolve => {
            wake = resolve;
          });
        }
      } finally {
        signal.removeEventListener('abort', end);
        end();
      }
    }
    return events();
  }
}
