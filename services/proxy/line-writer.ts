/** Gathers lines and writes them once per turn: a write per request would cost more than the request. */
export class LineWriter {
  readonly #write: (text: string) => void;
  #lines = '';

  constructor(write: (text: string) => void) {
    this.#write = write;
  }

  line(text: string): void {
    if (this.#lines === '') setImmediate(() => this.flush());
    this.#lines += `${text}\n`;
  }

  flush(): void {
    if (this.#lines === '') return;
    const lines = this.#lines;
    this.#lines = '';
    this.#write(lines);
  }
}
