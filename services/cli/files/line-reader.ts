import { createInterface, type Interface } from 'node:readline';

/** Lines of standard input, one for each question; what comes before it is asked for waits. */
export class LineReader {
  readonly #lines: Interface;
  readonly #came: string[] = [];
  #isEnded = false;
  #take: (() => void) | undefined;

  /** @param onInterrupt Ctrl-C, which a line editor takes in a terminal */
  constructor(onInterrupt: () => void) {
    this.#lines = createInterface({
      input: process.stdin,
      output: process.stdout,
      terminal: process.stdin.isTTY === true && process.stdout.isTTY === true,
    });
    this.#lines.on('line', line => {
      this.#came.push(line);
      this.#take?.();
    });
    this.#lines.on('close', () => {
      this.#isEnded = true;
      this.#take?.();
    });
    this.#lines.on('SIGINT', onInterrupt);
  }

  /** @returns undefined: the input has ended, or `signal` aborted */
  async ask(question: string, signal: AbortSignal): Promise<string | undefined> {
    this.#lines.setPrompt(question);
    this.#lines.prompt();
    if (this.#came.length === 0 && !this.#isEnded && !signal.aborted)
      await new Promise<void>(resolve => {
        this.#take = resolve;
        signal.addEventListener('abort', () => resolve(), { once: true });
      });
    this.#take = undefined;
    return signal.aborted ? undefined : this.#came.shift()?.trim();
  }

  close(): void {
    this.#lines.close();
  }
}
