import { Failure } from '../lib/failure.ts';

export interface Taken {
  /** What was given, by the option's name; of a switch ''. */
  readonly values: ReadonlyMap<string, readonly string[]>;
  /** What is no option: before the first flag. */
  readonly words: readonly string[];
  /** The flags that are settings, with their values. */
  readonly rest: readonly string[];
}

/**
 * Parts a command's own options from its words and from the settings' flags.
 * @param options names with dashes: with a value, or `isSwitch`
 * @throws Failure CONFIG
 */
export function takeOptions(
  argv: readonly string[],
  options: Readonly<Record<string, { readonly isSwitch?: true; readonly value?: string }>>,
): Taken {
  const values = new Map<string, string[]>();
  const firstFlag = argv.findIndex(argument => argument.startsWith('-'));
  const words = firstFlag === -1 ? [...argv] : argv.slice(0, firstFlag);
  const flags = firstFlag === -1 ? [] : argv.slice(firstFlag);
  const rest: string[] = [];
  for (let at = 0; at < flags.length; at++) {
    const argument = flags[at] ?? '';
    const [name = '', ...inline] = argument.split('=');
    const option = Object.hasOwn(options, name) ? options[name] : undefined;
    if (option === undefined) {
      rest.push(argument);
      continue;
    }
    const value = option.isSwitch ? '' : inline.length > 0 ? inline.join('=') : flags[++at];
    if (value === undefined || (value.startsWith('--') && inline.length === 0))
      throw new Failure('CONFIG', `${name} needs a value: ${name} ${option.value ?? 'VALUE'}`);
    values.set(name, [...(values.get(name) ?? []), value]);
  }
  return { values, words, rest };
}
