import type { Clock } from './ports.ts';

/** One moment that something waits for; set again, only an earlier one counts, until it has come. */
export class Deadline {
  readonly #clock: Clock;
  readonly #act: () => void;
  /** Milliseconds since the epoch. */
  #at = Number.POSITIVE_INFINITY;
  #cancel: (() => void) | undefined;

  constructor(clock: Clock, act: () => void) {
    this.#clock = clock;
    this.#act = act;
  }

  /** @param at milliseconds since the epoch; undefined for never */
  set(at: number | undefined): void {
    if (at === undefined || at >= this.#at) return;
    this.#cancel?.();
    this.#at = at;
    this.#cancel = this.#clock.after(Math.max(0, at - this.#clock.now()), () => {
      this.#at = Number.POSITIVE_INFINITY;
      // A timer may be early: by the fraction of a millisecond, or because it cannot be as long.
      if (this.#clock.now() < at) this.set(at);
      else this.#act();
    });
  }

  cancel(): void {
    this.#cancel?.();
    this.#at = Number.POSITIVE_INFINITY;
  }
}
