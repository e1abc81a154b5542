import { loadSettings } from '../config/load.ts';
import { formatSettings } from '../config/show.ts';
import type { Command } from './command.ts';
import { loadOptions } from './settings-file.ts';

export const configShow: Command = {
  name: 'config show',
  summary: 'print the effective settings and where each comes from, passwords masked',
  usage: '[flags]',
  settings: 'config',
  options: [],
  async run(argv, _stop, io) {
    io.out(formatSettings(loadSettings(loadOptions('config', argv, io))));
  },
};
