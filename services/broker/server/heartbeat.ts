/** When either side last gave a sign of life (§4.2.7). Milliseconds. */
export class Heartbeat {
  #intervalMs = 0;
  #heardAt: number;
  #saidAt: number;

  constructor(now: number) {
    this.#heardAt = now;
    this.#saidAt = now;
  }

  /** @param seconds as negotiated, 0 for none */
  start(seconds: number, now: number): void {
    this.#intervalMs = seconds * 1_000;
    this.heard(now);
  }

  heard(now: number): void {
    this.#heardAt = now;
  }

  said(now: number): void {
    this.#saidAt = now;
  }

  /** We have been silent for half the interval: it is time for a heartbeat. */
  isDue(now: number): boolean {
    return this.#intervalMs > 0 && now - this.#saidAt >= this.#intervalMs / 2;
  }

  /** The client has been silent for two intervals. */
  isOver(now: number): boolean {
    return this.#intervalMs > 0 && now - this.#heardAt > this.#intervalMs * 2;
  }
}
