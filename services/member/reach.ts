import type { Reach } from '../../proto/gen/warren/member/v1/member.ts';

/** Whether something can be reached, since when, and how long a call there and back takes. Times in milliseconds, monotonic. */
export class ReachRecord {
  readonly #clock: () => number;
  readonly #onChange: () => void;
  #up = false;
  #reason = 'not tried yet';
  #since: number;
  #latencyMs: number | undefined;

  constructor(clock: () => number, onChange: () => void) {
    this.#clock = clock;
    this.#onChange = onChange;
    this.#since = clock();
  }

  get isUp(): boolean {
    return this.#up;
  }

  /** @param latencyMs undefined: not measured, the last one stands */
  reached(latencyMs?: number): void {
    if (!this.#up) this.#since = this.#clock();
    this.#up = true;
    this.#reason = '';
    this.#latencyMs = latencyMs ?? this.#latencyMs;
    this.#onChange();
  }

  lost(reason: string): void {
    if (!this.#up && this.#reason === reason) return;
    if (this.#up) this.#since = this.#clock();
    this.#up = false;
    this.#reason = reason;
    this.#latencyMs = undefined;
    this.#onChange();
  }

  now(): Reach {
    return {
      up: this.#up,
      reason: this.#reason,
      sinceMs: BigInt(Math.round(this.#clock() - this.#since)),
      ...(this.#latencyMs === undefined ? {} : { latencyMs: this.#latencyMs }),
    };
  }
}
