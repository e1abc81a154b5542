import type { Config } from '../config/config.ts';

/** A command's way to the outside: text out (stdout) and err (stderr), without an added newline. */
export interface Io {
  out(text: string): void;
  err(text: string): void;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Absolute path of the working directory. */
  readonly cwd: string;
  /** Columns of the terminal that it goes to, now; undefined: none, but a pipe or file. */
  readonly outColumns?: () => number | undefined;
  readonly errColumns?: () => number | undefined;
}

/**
 * What a service's `main.ts` exports as `run`: starts it, resolves once `stop` is aborted and all of it has ended.
 * Rejects with a `Failure` (one line for the user) when it cannot start.
 */
export type Run = (config: Config, stop: AbortSignal, io: Io) => Promise<void>;
