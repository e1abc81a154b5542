import type { Outbox } from './outbox.ts';
import type { Wire } from './wire.ts';

/** Whether a client is read: not while its password is checked, while an alarm blocks publishers, or while it reads nothing itself. */
export class Intake {
  readonly #wire: Wire;
  readonly #reasons = new Set<'checking' | 'blocked' | 'choked'>();

  constructor(wire: Wire) {
    this.#wire = wire;
  }

  stop(reason: 'checking' | 'blocked' | 'choked'): void {
    this.#reasons.add(reason);
    this.#wire.pause();
  }

  start(reason: 'checking' | 'blocked' | 'choked'): void {
    if (this.#reasons.delete(reason) && this.#reasons.size === 0) this.#wire.resume();
  }

  /** Whatever stopped it: there is only an end to come. */
  startAnyway(): void {
    this.#reasons.clear();
    this.#wire.resume();
  }

  get isBlocked(): boolean {
    return this.#reasons.has('blocked');
  }

  /** Stops for a client that does not read. @returns whether it is past all patience */
  judge({ pressure }: Outbox): boolean {
    if (pressure === 'choked') this.stop('choked');
    return pressure === 'flooded';
  }
}
