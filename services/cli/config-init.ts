import { writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { suggestion } from '../config/nearest.ts';
import { formatTemplate } from '../config/template.ts';
import { Failure, messageOf } from '../lib/failure.ts';
import type { Command } from './command.ts';
import { DEFAULT_FILE } from './settings-file.ts';

export const configInit: Command = {
  name: 'config init',
  summary: 'write a settings file with every setting explained and its default commented out',
  usage: `[--force] [FILE]   (FILE: ${DEFAULT_FILE} unless given)`,
  settings: undefined,
  options: [{ flag: '--force', doc: 'overwrite the file if there is one' }],
  async run(argv, _stop, io) {
    const flags = argv.filter(argument => argument.startsWith('-'));
    const [file = DEFAULT_FILE, extra] = argv.filter(argument => !argument.startsWith('-'));
    const unknown = flags.find(flag => flag !== '--force');
    if (unknown !== undefined) {
      throw new Failure('CONFIG', `unknown flag ${unknown}${suggestion(unknown, ['--force', '--help'])}`);
    }
    if (extra !== undefined) throw new Failure('CONFIG', 'warren config init takes one file');
    try {
      // 0600: a broker's password may come to stand in it.
      writeFileSync(resolve(io.cwd, file), formatTemplate(), { flag: flags.length > 0 ? 'w' : 'wx', mode: 0o600 });
    } catch (error) {
      const exists = error instanceof Error && 'code' in error && error.code === 'EEXIST';
      const reason = exists ? 'exists already; --force overwrites it' : `cannot be written: ${messageOf(error)}`;
      throw new Failure('CONFIG', `${file} ${reason}`, { cause: error });
    }
    io.out(`wrote ${file}\n`);
  },
};
