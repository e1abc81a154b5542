import { resolve } from 'node:path';
import { loadConfig } from '../config/load.ts';
import { Failure } from '../lib/failure.ts';
import type { Command } from './command.ts';
import type { Io } from './io.ts';
import { loadOptions } from './settings-file.ts';

const variable = 'WARREN_USER_PASSWORD';

/**
 * The accounts in the directory's file, of this machine's data directory; whether the directory runs or not, and at once in
 * force if it does.
 */
function usersCommand(
  word: string,
  summary: string,
  usage: string,
  act: (given: { username: string; dir: string; io: Io; stop: AbortSignal }) => Promise<void>,
): Command {
  const takesName = usage.startsWith('NAME');
  return {
    name: `users ${word}`,
    summary,
    usage,
    settings: 'users',
    options: [],
    async run(argv, stop, io) {
      const [first] = argv;
      const username = takesName && first?.startsWith('-') === false ? first : undefined;
      const config = loadConfig(loadOptions('users', username === undefined ? argv : argv.slice(1), io));
      if (takesName && username === undefined) throw new Failure('CONFIG', `whose account? warren users ${word} NAME`);
      const { directoryDir } = await import('../directory/store.ts');
      await act({ username: username ?? '', dir: directoryDir(resolve(io.cwd, config.data.dir)), io, stop });
    },
  };
}

const passwordUsage = `NAME [flags]   (the password: typed, a line on standard input, or ${variable})`;

export const usersAdd = usersCommand(
  'add',
  'make an account in the directory',
  passwordUsage,
  async ({ username, dir, io, stop }) => {
    const passwordHash = await newHash(username, io, stop);
    using store = await open(dir);
    if (!store.addAccount(username, passwordHash, Date.now()))
      throw new Failure('DIRECTORY_USER_EXISTS', `there is an account ${username} already`);
    io.out(`made account ${username}\n`);
  },
);

export const usersPasswd = usersCommand(
  'passwd',
  'give an account a new password: ends its sessions, and enables it again',
  passwordUsage,
  async ({ username, dir, io, stop }) => {
    const passwordHash = await newHash(username, io, stop);
    using store = await open(dir);
    if (!store.setPassword(username, passwordHash)) throw unknown(username);
    io.out(`${username} has a new password, and no session\n`);
  },
);

export const usersDisable = usersCommand(
  'disable',
  'refuse an account from now on, and end its sessions; a new password enables it again',
  'NAME [flags]',
  async ({ username, dir, io }) => {
    using store = await open(dir);
    if (!store.disable(username)) throw unknown(username);
    io.out(`${username} is disabled, and has no session\n`);
  },
);

export const usersList = usersCommand('list', 'show all accounts', '[flags]', async ({ dir, io }) => {
  using store = await open(dir);
  const rows = store.accounts(Date.now()).map(({ username, isDisabled, createdAt, sessions }) => {
    const since = new Date(createdAt).toISOString().slice(0, 10);
    const state = isDisabled ? 'disabled' : `${sessions} ${sessions === 1 ? 'session' : 'sessions'}`;
    return `${username.padEnd(32)}  since ${since}  ${state}\n`;
  });
  io.out(rows.length === 0 ? 'no accounts\n' : rows.join(''));
});

async function open(dir: string) {
  const { DirectoryStore } = await import('../directory/store.ts');
  return new DirectoryStore(dir);
}

/** What is wrong with the name is said before a password is asked for. */
async function newHash(username: string, io: Io, stop: AbortSignal): Promise<string> {
  const { mistakeInAccount } = await import('../directory/methods.ts');
  const { hashPassword } = await import('../directory/password.ts');
  const { readPassword } = await import('./read-password.ts');
  const check = (password: string): void => {
    const mistake = mistakeInAccount({ username, password });
    if (mistake !== undefined) throw new Failure('CONFIG', mistake);
  };
  check('a good one to begin with');
  const password = await readPassword(variable, io, stop);
  check(password);
  return hashPassword(password);
}

function unknown(username: string): Failure {
  return new Failure('DIRECTORY_NO_USER', `there is no account ${JSON.stringify(username)} (see warren users list)`);
}
