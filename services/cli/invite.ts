import { resolve } from 'node:path';
import { loadConfig } from '../config/load.ts';
import type { Command } from './command.ts';
import { loadOptions } from './settings-file.ts';
import { takeOptions } from './take-options.ts';

export const invite: Command = {
  name: 'invite',
  summary: "print a line that lets one more machine join; on the directory's machine",
  usage: '[--days N] [--service NAME ...] [--user NAME] [flags]',
  settings: 'invite',
  options: [
    { flag: '--days N', doc: 'how long the line is good for; 1 unless given' },
    { flag: '--service NAME', doc: 'a service whose jobs the machine may take; may be repeated' },
    { flag: '--user NAME', doc: 'for that account only, and without its password' },
  ],
  async run(argv, _stop, io) {
    const { values, words, rest } = takeOptions(argv, {
      '--days': { value: 'N' },
      '--service': { value: 'NAME' },
      '--user': { value: 'NAME' },
    });
    const config = loadConfig(loadOptions('invite', [...words, ...rest], io));
    const [username] = values.get('--user')?.slice(-1) ?? [];
    const [days = '1'] = values.get('--days')?.slice(-1) ?? [];
    const request = {
      days: Number(days),
      services: values.get('--service') ?? [],
      ...(username === undefined ? {} : { username }),
    };
    const { inviteHere } = await import('../up/enrolling.ts');
    const { line, isLocal } = await inviteHere(config, resolve(io.cwd, config.data.dir), request);
    if (isLocal)
      io.err(
        'warning: the broker is named by an address of this machine, so others cannot use this invite: set broker.address (--broker-address amqp://HOST)\n',
      );
    io.out(`${line}\n`);
  },
};
