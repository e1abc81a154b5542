import type { Format } from './format.ts';

/** The commands that take settings. */
export const commandNames = [
  'up',
  'broker',
  'proxy',
  'worker',
  'demo',
  'directory',
  'naming',
  'names',
  'users',
  'invite',
  'join',
  'members',
  'member',
  'chord',
  'chat',
  'ring',
  'files',
  'status',
  'config',
] as const;
export type CommandName = (typeof commandNames)[number];

/** One row of the table in `settings.ts`. */
export interface Setting<T> {
  readonly format: Format<T>;
  readonly default: T;
  /** Where one command's default is another. */
  readonly defaultFor?: Readonly<Partial<Record<CommandName, T>>>;
  /** One sentence; it stands in `--help`, in `config init` and in the documentation. */
  readonly doc: string;
  /** Instead of WARREN_SECTION_KEY. */
  readonly env?: string;
  /** The commands that heed it; their `--help` names it. */
  readonly commands: readonly CommandName[];
  readonly flag?: FlagSpec;
  /** Is a password, or a list of URLs that may hold one: never shown in full, and not at all in errors. */
  readonly sensitive?: 'password' | 'urls';
}

export interface FlagSpec {
  /** Without the dashes. */
  readonly name: string;
  /** What stands for its value in `--help`; of a switch nothing. */
  readonly value: string;
  /** May be given several times; the values add up. Otherwise the last one counts. */
  readonly repeatable?: true;
  /** Takes no value: its presence says `true` (`--name=false` the contrary). */
  readonly isSwitch?: true;
}

/** A row, with the default's type taken from the format and not the other way round. */
export function setting<T>(
  format: Format<T>,
  fallback: NoInfer<T>,
  rest: Omit<Setting<T>, 'format' | 'default'>,
): Setting<T> {
  return { format, default: fallback, ...rest };
}
