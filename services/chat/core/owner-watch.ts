/** Latents whose lease on the active one has ended stand up one after the other, within this time. */
const spreadMs = 500;

/** Whether the active server gives signs of life: entries that count, beats. Times in milliseconds. */
export class OwnerWatch {
  readonly #leaseMs: number;
  readonly #random: () => number;
  #seenAt = 0;
  #nudgedAt = Number.NEGATIVE_INFINITY;
  #patienceMs = 0;

  constructor(leaseMs: number, random: () => number) {
    this.#leaseMs = leaseMs;
    this.#random = random;
    this.#drawPatience();
  }

  seen(now: number): void {
    this.#seenAt = now;
  }

  isLive(now: number): boolean {
    return now - this.#seenAt < this.#leaseMs / 2;
  }

  /** Whether a latent is to stand up: not before the one that was luckier. */
  isGone(now: number): boolean {
    if (now - this.#seenAt <= this.#leaseMs + this.#patienceMs) return false;
    this.#drawPatience();
    return true;
  }

  nudged(now: number): void {
    this.#nudgedAt = now;
  }

  /** Whether a standby is to have somebody look, if only itself. */
  isNudgeDue(now: number): boolean {
    return now - this.#seenAt > this.#leaseMs && now - this.#nudgedAt > this.#leaseMs;
  }

  #drawPatience(): void {
    this.#patienceMs = spreadMs * this.#random();
  }
}
