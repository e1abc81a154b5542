import { flagsOf } from '../config/flags.ts';
import type { CommandName } from '../config/setting.ts';
import { defaultText, envName, settingKeys, settingOf } from '../config/settings.ts';
import type { Command, Exit } from './command.ts';

const INDENT = '  ';

/** `warren --help` */
export function formatOverview(commands: readonly Command[]): string {
  const width = Math.max(...commands.map(({ name }) => name.length));
  const rows = commands.map(({ name, summary }) => `${INDENT}${name.padEnd(width)}  ${summary}`);
  const exits = commands.find(each => each.exits !== undefined)?.exits;
  const isGroup = commands.every(({ name }) => name.startsWith(`${commands[0]?.name.split(' ')[0]} `));
  return `warren: publish web services from behind NAT through one message broker

Usage: warren COMMAND [flags]

${rows.join('\n')}

${INDENT}warren COMMAND --help   the flags of a command, with defaults and environment variables
${INDENT}warren --version        the version

Settings: defaults, then warren.ini (or --config FILE), then the environment (WARREN_…), then flags; the last one counts.
A variable with _FILE behind its name (WARREN_BROKER_URL_FILE) names a file that holds the value: for passwords and secrets.
${exits !== undefined && isGroup ? formatExits(exits) : ''}`;
}

/** `warren COMMAND --help` */
export function formatHelp(command: Command): string {
  const { name, summary, usage, options, settings } = command;
  const head = `warren ${name}: ${summary}\n\nUsage: warren ${name} ${usage}\n`;
  const own = [...options.map(option => entry(option.flag, option.doc)), entry('--help', 'this text')];
  const ends = command.exits === undefined ? '' : formatExits(command.exits);
  if (settings === undefined) return `${head}\n${own.join('')}${ends}`;
  const config = entry('--config FILE', 'settings file', 'default warren.ini, if there is one');
  const quiet = settingKeys.filter(key => {
    const { flag, commands } = settingOf(key);
    return flag === undefined && (settings === 'config' || commands.includes(settings));
  });
  const more = quiet.map(key =>
    entry(envName(key), settingOf(key).doc, `${fallback(key, settings)}; in the file ${key}`),
  );
  return (
    `${head}\nFlags (a line below each: default; environment variable; key in the file)\n` +
    flagsOf(settings)
      .map(({ key, flag }) => {
        const times = flag.repeatable ? ' (repeatable)' : '';
        const place = key === 'routes' ? '[route.NAME]' : key;
        return entry(
          `--${flag.name} ${flag.value}${times}`.trimEnd(),
          settingOf(key).doc,
          `${fallback(key, settings)}; ${envName(key)}; ${place}`,
        );
      })
      .join('') +
    [config, ...own].join('') +
    (more.length === 0 ? '' : `\nOnly in the environment or the file\n${more.join('')}`) +
    ends
  );
}

function formatExits(exits: readonly Exit[]): string {
  const usual = [
    { code: 0, doc: 'done' },
    { code: 1, doc: 'what none of the others says' },
    { code: 2, doc: 'what was typed or set is wrong' },
  ];
  const rows = [...usual, ...exits].map(({ code, doc }) => `${INDENT}${String(code).padStart(3)}  ${doc}\n`);
  return `\nExit codes\n${rows.join('')}`;
}

function entry(term: string, doc: string, detail?: string): string {
  return `${INDENT}${term}\n${INDENT.repeat(3)}${doc}\n${detail === undefined ? '' : `${INDENT.repeat(3)}${detail}\n`}`;
}

function fallback(key: Parameters<typeof defaultText>[0], command: CommandName): string {
  const text = defaultText(key, command);
  return text === '' ? 'no default' : `default ${text}`;
}
