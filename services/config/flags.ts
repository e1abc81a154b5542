import { suggestion } from './nearest.ts';
import type { CommandName, FlagSpec } from './setting.ts';
import { type SettingKey, settingKeys, settingOf } from './settings.ts';

export interface Flags {
  /** Texts by setting; those of a repeated flag joined by commas. */
  readonly values: ReadonlyMap<SettingKey, string>;
  /** The file that --config names. */
  readonly config: string | undefined;
  readonly problems: readonly string[];
}

/**
 * The settings that have a flag with this command. `config` takes all flags, to show what they would do; where the
 * broker's own are called as another's (`--port`), the other is meant.
 */
export function flagsOf(command: CommandName): readonly { readonly key: SettingKey; readonly flag: FlagSpec }[] {
  const found = settingKeys.flatMap(key => {
    const { flag, commands } = settingOf(key);
    return flag !== undefined && (command === 'config' || commands.includes(command)) ? [{ key, flag }] : [];
  });
  const isOther = (key: SettingKey, name: string): boolean =>
    found.some(({ key: other, flag }) => other !== key && flag.name === name);
  return found.filter(({ key, flag }) => !key.startsWith('broker.') || !isOther(key, flag.name));
}

/** Reads `--flag value` and `--flag=value`, of switches `--flag`. */
export function parseFlags(command: CommandName, argv: readonly string[]): Flags {
  const byName = new Map(flagsOf(command).map(({ key, flag }) => [flag.name, { key, flag }]));
  const values = new Map<SettingKey, string>();
  const problems: string[] = [];
  let config: string | undefined;
  for (let at = 0; at < argv.length; at++) {
    const argument = argv[at] ?? '';
    const [, name, inline] = /^--([^=]+)(?:=(.*))?$/s.exec(argument) ?? [];
    if (name === undefined) {
      problems.push(`unexpected argument ${JSON.stringify(argument)} (see warren ${command} --help)`);
      continue;
    }
    const found = byName.get(name);
    if (found === undefined && name !== 'config') {
      problems.push(unknownFlag(command, name, [...byName.keys(), 'config', 'help']));
      // Its value would only be reported as a second problem.
      if (inline === undefined && argv[at + 1]?.startsWith('-') === false) at++;
      continue;
    }
    const isSwitch = found?.flag.isSwitch === true;
    const value = inline ?? (isSwitch ? 'true' : argv[at + 1]);
    if (value === undefined || (inline === undefined && value.startsWith('--'))) {
      problems.push(`--${name} needs a value: --${name} ${found?.flag.value ?? 'FILE'}`);
      continue;
    }
    if (inline === undefined && !isSwitch) at++;
    if (found === undefined) config = value;
    else {
      const before = found.flag.repeatable ? values.get(found.key) : undefined;
      values.set(found.key, before === undefined ? value : `${before},${value}`);
    }
  }
  return { values, config, problems };
}

function unknownFlag(command: CommandName, name: string, known: readonly string[]): string {
  const elsewhere = settingKeys.some(key => settingOf(key).flag?.name === name);
  if (elsewhere) return `--${name} is not a flag of warren ${command} (see warren ${command} --help)`;
  return `unknown flag --${name}${suggestion(name, known, '--') || ` (see warren ${command} --help)`}`;
}
