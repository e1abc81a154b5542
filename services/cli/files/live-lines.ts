import { widthOf } from '../visible.ts';

const apartMs = 100;

/** Lines at the bottom of a terminal that are drawn again in place, ten times a second at most. */
export class LiveLines {
  readonly #write: (text: string) => void;
  readonly #columns: () => number;
  #look: (() => readonly string[]) | undefined;
  #drawn: readonly string[] = [];
  #timer: NodeJS.Timeout | undefined;
  #lastAt = Number.NEGATIVE_INFINITY;

  constructor(write: (text: string) => void, columns: () => number) {
    this.#write = write;
    this.#columns = columns;
  }

  /** @param look gives the lines when they are drawn, of the newest state then */
  update(look: () => readonly string[]): void {
    this.#look = look;
    if (this.#timer !== undefined) return;
    const waitMs = this.#lastAt + apartMs - performance.now();
    if (waitMs <= 0) this.#draw();
    else
      this.#timer = setTimeout(() => {
        this.#timer = undefined;
        this.#draw();
      }, waitMs);
  }

  /** @param last instead of what stands there; undefined: that stays, as it is now */
  close(last?: readonly string[]): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (last !== undefined) this.#look = () => last;
    this.#draw();
    this.#look = undefined;
    this.#drawn = [];
  }

  #draw(): void {
    if (this.#look === undefined) return;
    const lines = this.#look();
    this.#lastAt = performance.now();
    // A terminal that has become narrower has broken them.
    const columns = this.#columns();
    const rows = this.#drawn.reduce((sum, line) => sum + Math.max(1, Math.ceil(widthOf(line) / columns)), 0);
    const back = rows === 0 ? '\r' : `\x1b[${rows}F`;
    this.#write(`${back}\x1b[J${lines.map(line => `${line}\n`).join('')}`);
    this.#drawn = lines;
  }
}
