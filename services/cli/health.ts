import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { loadConfig } from '../config/load.ts';
import { type CommandName, commandNames } from '../config/setting.ts';
import { Failure } from '../lib/failure.ts';
import type { Command } from './command.ts';
import { loadOptions } from './settings-file.ts';

export const health: Command = {
  name: 'health',
  summary: 'ask a service of this machine whether it is well: exit code 0 or 1',
  usage: '[COMMAND [its flags]]   (without: the one that this container runs)',
  settings: undefined,
  options: [],
  async run(argv, _stop, io) {
    const [command, ...flags] = argv.length > 0 ? argv : firstProcess();
    if (!isService(command)) throw new Failure('CONFIG', `${command} is no command of warren that runs a service`);
    const config = loadConfig(loadOptions(command, flags, io));
    if (command === 'member' || command === 'chord') {
      const { askMember } = await import('../up/member-health.ts');
      return io.out(`${await askMember(resolve(io.cwd, config.data.dir))}\n`);
    }
    const { askHealth, healthUrls } = await import('../up/health.ts');
    for (const answer of await Promise.all(healthUrls(command, config).map(askHealth))) io.out(`${answer}\n`);
  },
};

function isService(word: string | undefined): word is CommandName {
  return commandNames.some(
    name =>
      name === word && !['config', 'status', 'users', 'names', 'invite', 'join', 'members', 'files'].includes(name),
  );
}

/**
 * What the container's first process was started with, behind `warren`. Its settings are ours too: the same flags, and the
 * environment and folder are the container's. An init (`docker run --init`) has the command behind its own name.
 */
function firstProcess(): string[] {
  let words: string[] = [];
  try {
    words = readFileSync('/proc/1/cmdline', 'utf8').split('\0').slice(0, -1);
  } catch {
    // No Linux, or not ours to read.
  }
  const at = words.findIndex(word => /(?:^|\/)warren(?:\.js)?$/.test(word));
  if (at === -1) throw new Failure('CONFIG', 'process 1 here is no warren: say which, as in warren health proxy');
  return words.slice(at + 1);
}
