import type { PieceRun } from './piece-map.ts';

/** Pieces count as on their way for so long after they were sent, in milliseconds: until their receiver says itself that it has them. */
const echoMs = 2_000;
/** Runs that anybody is told at once. */
export const mostTold = 1_024;

interface Upload {
  readonly to: string;
  readonly runs: readonly PieceRun[];
}

interface Sent {
  readonly to: string;
  readonly piece: number;
  readonly at: number;
}

/**
 * What is being sent of one content, and was in the last two seconds: said to everybody else who pulls it, so that a seed is not asked
 * for the same pieces again and again. Times in milliseconds, monotonic.
 */
export class UploadLedger {
  readonly #uploads = new Set<Upload>();
  #sent: Sent[] = [];
  #version = 0;

  /** Another one whenever there is something else to say. */
  version(now: number): number {
    this.#expire(now);
    return this.#version;
  }

  get isIdle(): boolean {
    return this.#uploads.size === 0 && this.#sent.length === 0;
  }

  /** @returns ends it */
  begin(to: string, runs: readonly PieceRun[]): () => void {
    const upload = { to, runs };
    this.#uploads.add(upload);
    this.#version++;
    return () => {
      this.#uploads.delete(upload);
      this.#version++;
    };
  }

  sent(to: string, piece: number, now: number): void {
    this.#expire(now);
    this.#sent.push({ to, piece, at: now });
    this.#version++;
  }

  /** What others get, or just got; neither in order nor without repeats. */
  comingFor(asker: string, now: number): PieceRun[] {
    this.#expire(now);
    const runs: PieceRun[] = [];
    for (const { to, runs: asked } of this.#uploads) if (to !== asker) runs.push(...asked);
    for (const { to, piece } of this.#sent) {
      if (to === asker) continue;
      const last = runs.at(-1);
      if (last !== undefined && last.first + last.count === piece)
        runs[runs.length - 1] = { first: last.first, count: last.count + 1 };
      else runs.push({ first: piece, count: 1 });
    }
    return runs.slice(-mostTold);
  }

  #expire(now: number): void {
    const live = this.#sent.findIndex(({ at }) => now - at < echoMs);
    if (live === 0 || this.#sent.length === 0) return;
    this.#sent = live < 0 ? [] : this.#sent.slice(live);
    this.#version++;
  }
}
