import type { CommandName } from '../config/setting.ts';
import type { Io } from './io.ts';

/** How a command ends. */
export interface Exit {
  readonly code: number;
  /** When, in a few words. */
  readonly doc: string;
  /** Codes of the failures that end it so. */
  readonly failures: readonly string[];
}

/** One command of `warren`. */
export interface Command {
  /** As typed: `proxy`, `config init`. */
  readonly name: string;
  /** What it does, in one sentence without a full stop. */
  readonly summary: string;
  /** What stands behind the name: `[flags]`. */
  readonly usage: string;
  /** Whose settings it takes, as flags and in its help; undefined: none. */
  readonly settings: CommandName | undefined;
  /** Flags that are no settings. */
  readonly options: readonly { readonly flag: string; readonly doc: string }[];
  /** Exit codes besides 0, 1 and 2, where they mean something. */
  readonly exits?: readonly Exit[];
  /**
   * @param argv what stands behind the name
   * @throws Failure, one line for the user
   */
  run(argv: readonly string[], stop: AbortSignal, io: Io): Promise<void>;
}
