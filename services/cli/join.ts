import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { loadConfig } from '../config/load.ts';
import { Failure, messageOf } from '../lib/failure.ts';
import type { Command } from './command.ts';
import { loadOptions } from './settings-file.ts';
import { takeOptions } from './take-options.ts';

const variable = 'WARREN_USER_PASSWORD';

export const join: Command = {
  name: 'join',
  summary: 'make this machine a member, with the line that warren invite printed',
  usage: `LINE [--user NAME] [--password-file FILE] [flags]   (LINE: - reads it from standard input; a password also from ${variable})`,
  settings: 'join',
  options: [
    { flag: '--user NAME', doc: "the account to belong to, made if there is none; this system's user unless given" },
    {
      flag: '--password-file FILE',
      doc: 'its password, in the first line; not needed when the invite names the account',
    },
    {
      flag: '--again',
      doc: 'with a new invite, on a machine that has joined: its key stays, its rights are those of the invite',
    },
  ],
  async run(argv, stop, io) {
    const { values, words, rest } = takeOptions(argv[0] === '-' ? ['', ...argv.slice(1)] : argv, {
      '--user': { value: 'NAME' },
      '--password-file': { value: 'FILE' },
      '--again': { isSwitch: true },
    });
    const [given, ...more] = words;
    const config = loadConfig(loadOptions('join', [...more, ...rest], io));
    if (given === undefined) throw new Failure('CONFIG', 'with which invite? warren join LINE (see warren invite)');
    const dataDir = resolve(io.cwd, config.data.dir);

    const { accountOf, readMembership } = await import('../member/home.ts');
    const { join: joinNetwork } = await import('../member/join.ts');
    const { systemUser } = await import('../member/system-user.ts');
    const { shortId } = await import('../lib/identity/member-id.ts');
    const { parseInviteLine } = await import('../directory/invite-line.ts');
    const before = await readMembership(dataDir);
    if (before !== undefined && !values.has('--again'))
      throw new Failure(
        'JOINED',
        `this machine has joined already, as one of ${accountOf(before)} (${dataDir}): --again joins anew with this invite, another --data makes another member`,
      );
    const line = given === '' ? firstLine(readFileSync(0, 'utf8')) : given;
    const { username: invited } = parseInviteLine(line);
    const [user] = values.get('--user')?.slice(-1) ?? [];
    const username = user ?? (invited || (before === undefined ? systemUser(io.env) : accountOf(before)));
    const [file] = values.get('--password-file')?.slice(-1) ?? [];
    const password = file === undefined ? io.env[variable] : readPasswordFile(resolve(io.cwd, file));
    const joined = await joinNetwork({
      line,
      dataDir,
      username,
      ...(password === undefined ? {} : { password }),
      signal: stop,
    });
    const { services } = joined.membership;
    const may = services.length === 0 ? '' : `, and may serve ${services.join(', ')}`;
    io.out(`joined as ${shortId(joined.id)}, one of ${joined.username}${may}\n`);
  },
};

function readPasswordFile(file: string): string {
  try {
    return firstLine(readFileSync(file, 'utf8'));
  } catch (cause) {
    throw new Failure('CONFIG', `--password-file ${file} cannot be read: ${messageOf(cause)}`, { cause });
  }
}

function firstLine(text: string): string {
  return text.split(/\r?\n/, 1)[0] ?? '';
}
