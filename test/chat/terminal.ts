import { spawnWarren, type WarrenProcess } from '../support/warren-process.ts';

/** `warren chat` in a terminal, and somebody who types in it. */
export class Terminal implements AsyncDisposable {
  readonly user: string;
  /** Lines typed so far, in all of the user's terminals. */
  typed = 0;
  #process!: WarrenProcess;
  readonly #home: string;
  readonly #on: readonly string[];

  constructor(user: string, home: string, on: readonly string[] = []) {
    this.user = user;
    this.#home = home;
    this.#on = on;
  }

  /** Resolves when there is something to be seen. */
  async open(): Promise<this> {
    this.#process = await spawnWarren(['chat', '--data', this.#home], {}, this.#on, 'pipe');
    await this.#process.line(/^\* backend\.com, served by /);
    return this;
  }

  type(): void {
    this.#process.type(`line ${this.typed++}\n`);
  }

  get exit(): Promise<number | NodeJS.Signals> {
    return this.#process.exit;
  }

  get lines(): readonly string[] {
    return this.#process.lines;
  }

  line(pattern: RegExp): Promise<string> {
    return this.#process.line(pattern);
  }

  /** Epochs that it was told of. */
  get moves(): number {
    return this.lines.filter(line => / serves the chat now \(epoch \d+\)$/.test(line)).length;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#process?.[Symbol.asyncDispose]();
  }
}

/** Messages in what a terminal or `warren chat history` shows, as `USER NUMBER`. */
export function shownIn(lines: readonly string[]): string[] {
  return lines.flatMap(line => {
    const [, user, number] = /^\d\d:\d\d #lobby (\w+): line (\d+)$/.exec(line) ?? [];
    return user === undefined ? [] : [`${user} ${number}`];
  });
}
