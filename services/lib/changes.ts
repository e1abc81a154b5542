import { pause } from './pause.ts';

/** Tells any number of watchers that something changed. */
export class Changes {
  #version = 0;
  readonly #waiting = new Set<() => void>();

  happened(): void {
    this.#version++;
    for (const wake of [...this.#waiting]) wake();
  }

  /** What `look` sees: now, and after every change, not more often than every `apartMs`; until the signal aborts. */
  async *watch<T>(look: () => T, apartMs: number, signal: AbortSignal): AsyncGenerator<T> {
    while (!signal.aborted) {
      const seen = this.#version;
      yield look();
      await pause(apartMs, signal);
      if (this.#version === seen) await this.#next(signal);
    }
  }

  #next(signal: AbortSignal): Promise<void> {
    return new Promise(resolve => {
      const done = (): void => {
        this.#waiting.delete(done);
        signal.removeEventListener('abort', done);
        resolve();
      };
      if (signal.aborted) return resolve();
      this.#waiting.add(done);
      signal.addEventListener('abort', done);
    });
  }
}
