import type { Logged } from './entry.ts';
import type { Meaning } from './rule.ts';
import type { CheckpointLimits } from './server-events.ts';

/** When the next checkpoint is due: as the log grows, void entries included, for they fill it as well. Kept by every server, so that the next one knows. */
export class CheckpointClock {
  readonly #limits: CheckpointLimits;
  #entries = 0;
  #size = 0;
  /** Of the last checkpoint itself: large ones come less often. */
  #checkpointSize = 0;
  /** When it was read, or what came first without one. */
  #at: number | undefined;
  #isWritten = false;

  constructor(limits: CheckpointLimits) {
    this.#limits = limits;
  }

  count({ size }: Logged, meaning: Meaning, now: number): void {
    if (meaning.kind === 'checkpoint') {
      this.#entries = 0;
      this.#size = 0;
      this.#checkpointSize = size;
      this.#at = now;
      this.#isWritten = false;
    } else {
      this.#at ??= now;
      this.#entries++;
      this.#size += size;
    }
  }

  cut(now: number): void {
    this.#at = now;
    this.#entries = this.#limits.entries;
  }

  /** The server begins to serve: what it wrote before does not count. */
  begin(): void {
    this.#isWritten = false;
  }

  /** One is on its way. */
  written(): void {
    this.#isWritten = true;
  }

  /** @param pending entries that are on their way */
  isDue(pending: number, now: number): boolean {
    if (this.#isWritten || this.#entries + pending === 0) return false;
    const { entries, size, ageMs } = this.#limits;
    return (
      this.#entries + pending >= entries ||
      this.#size >= Math.max(size, this.#checkpointSize * 4) ||
      now - (this.#at ?? now) >= ageMs
    );
  }
}
