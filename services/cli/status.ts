import { resolve } from 'node:path';
import { loadConfig } from '../config/load.ts';
import type { Command } from './command.ts';
import { loadOptions } from './settings-file.ts';

export const status: Command = {
  name: 'status',
  summary:
    'show all: broker and queues, proxy, directory, members and how they answer; and on a machine that has joined, itself',
  usage: '[flags]',
  settings: 'status',
  options: [{ flag: '--json', doc: 'all of it as JSON' }],
  async run(argv, _stop, io) {
    const config = loadConfig(
      loadOptions(
        'status',
        argv.filter(argument => argument !== '--json'),
        io,
      ),
    );
    const { systemStatus } = await import('../up/status/system-status.ts');
    const { formatStatus } = await import('../up/status/format.ts');
    const found = await systemStatus(config, resolve(io.cwd, config.data.dir));
    io.out(argv.includes('--json') ? `${JSON.stringify(found, null, 2)}\n` : formatStatus(found, Date.now()));
  },
};
