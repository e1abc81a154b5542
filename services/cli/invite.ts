import { resolve } from 'node:path';
import { loadConfig } from '../config/load.ts';
import { Failure } from '../lib/failure.ts';
import type { Command } from './command.ts';
import { loadOptions } from './settings-file.ts';
import { takeOptions } from './take-options.ts';

export const invite: Command = {
  name: 'invite',
  summary: "print a line that lets one more machine join; on the directory's machine",
  usage: '[--days N] [--service NAME ...] [--user NAME] [--to FILE ...] [flags]',
  settings: 'invite',
  options: [
    { flag: '--days N', doc: 'how long the line is good for; 1 unless given' },
    { flag: '--service NAME', doc: 'a service whose jobs the machine may take; may be repeated' },
    {
      flag: '--user NAME',
      doc: 'for that account only, and without its password; for each --to its own, or one for all',
    },
    {
      flag: '--to FILE',
      doc: 'into a file (0600), instead of printing it; nothing is done where it holds one that is good, or was used; may be repeated, each a machine',
    },
  ],
  async run(argv, _stop, io) {
    const { values, words, rest } = takeOptions(argv, {
      '--days': { value: 'N' },
      '--service': { value: 'NAME' },
      '--user': { value: 'NAME' },
      '--to': { value: 'FILE' },
    });
    const config = loadConfig(loadOptions('invite', [...words, ...rest], io));
    const users = values.get('--user') ?? [];
    const files = values.get('--to') ?? [];
    const [days = '1'] = values.get('--days')?.slice(-1) ?? [];
    const requestFor = (username: string | undefined) => ({
      days: Number(days),
      services: values.get('--service') ?? [],
      ...(username === undefined ? {} : { username }),
    });
    const dataDir = resolve(io.cwd, config.data.dir);
    const warnIf = (isLocal: boolean): void => {
      if (isLocal)
        io.err(
          'warning: the broker is named by an address of this machine, so others cannot use this invite: set broker.address (--broker-address amqp://HOST)\n',
        );
    };
    if (files.length === 0) {
      const { inviteHere } = await import('../up/enrolling.ts');
      const { line, isLocal } = await inviteHere(config, dataDir, requestFor(users.at(-1)));
      warnIf(isLocal);
      return io.out(`${line}\n`);
    }

    if (users.length > 1 && users.length !== files.length)
      throw new Failure(
        'CONFIG',
        `${files.length} times --to, and ${users.length} times --user: one for each, or one for all`,
      );
    const { keepInviteFile } = await import('../up/invite-file.ts');
    const { shortId } = await import('../lib/identity/member-id.ts');
    for (const [at, file] of files.entries()) {
      const request = requestFor(users.length > 1 ? users[at] : users[0]);
      const kept = await keepInviteFile(config, dataDir, resolve(io.cwd, file), request);
      warnIf(kept.state === 'made' && kept.isLocal);
      const until = 'expiresAt' in kept ? `, good until ${new Date(kept.expiresAt).toISOString()}` : '';
      if (kept.state === 'used') io.out(`${file}: its invite was used, by ${shortId(kept.by)}\n`);
      else io.out(`${file}: ${kept.state === 'made' ? 'a new invite' : 'there is an invite'}${until}\n`);
    }
  },
};
