import { flagsOf } from '../../config/flags.ts';
import { suggestion } from '../../config/nearest.ts';
import type { CommandName } from '../../config/setting.ts';
import { Failure } from '../../lib/failure.ts';

export interface Option {
  /** With dashes. */
  readonly flag: string;
  /** What stands for its value in the help; none: a switch. */
  readonly value?: string;
  readonly doc: string;
}

export interface Arguments {
  readonly words: readonly string[];
  /** The last value given of an option; of a switch ''. */
  one(flag: string): string | undefined;
  all(flag: string): readonly string[];
  has(flag: string): boolean;
  /** The flags that are settings, with their values. */
  readonly settings: readonly string[];
}

/**
 * Words and flags in any order; behind `--` all are words.
 * @throws Failure CONFIG
 */
export function readArguments(
  command: CommandName,
  name: string,
  argv: readonly string[],
  options: readonly Option[],
): Arguments {
  const own = new Map(options.map(option => [option.flag, option]));
  const settingFlags = new Map(flagsOf(command).map(({ flag }) => [`--${flag.name}`, flag.isSwitch === true]));
  settingFlags.set('--config', false);
  const words: string[] = [];
  const settings: string[] = [];
  const values = new Map<string, string[]>();
  const rest = [...argv];
  for (let argument = rest.shift(); argument !== undefined; argument = rest.shift()) {
    if (argument === '--') words.push(...rest.splice(0));
    else if (!argument.startsWith('-') || argument === '-') words.push(argument);
    else {
      const [flag = '', inline] = /^([^=]+)(?:=(.*))?$/s.exec(argument)?.slice(1) ?? [];
      const option = own.get(flag);
      if (option !== undefined) {
        values.set(flag, [
          ...(values.get(flag) ?? []),
          option.value === undefined ? noValue(flag, inline) : valueOf(option, inline, rest),
        ]);
      } else {
        const isSwitch = settingFlags.get(flag);
        if (isSwitch === undefined)
          throw new Failure(
            'CONFIG',
            `unknown flag ${flag}${suggestion(flag, [...own.keys(), ...settingFlags.keys(), '--help']) || ` (see warren ${name} --help)`}`,
          );
        settings.push(argument);
        if (inline === undefined && !isSwitch) settings.push(...rest.splice(0, 1));
      }
    }
  }
  return {
    words,
    settings,
    one: flag => values.get(flag)?.at(-1),
    all: flag => values.get(flag) ?? [],
    has: flag => values.has(flag),
  };
}

function valueOf({ flag, value }: Option, inline: string | undefined, rest: string[]): string {
  const found = inline ?? rest.shift();
  if (found === undefined || (inline === undefined && found.startsWith('--')))
    throw new Failure('CONFIG', `${flag} needs a value: ${flag} ${value}`);
  return found;
}

function noValue(flag: string, inline: string | undefined): string {
  if (inline !== undefined) throw new Failure('CONFIG', `${flag} takes no value`);
  return '';
}
