import type { Command } from '../command.ts';
import type { Option } from './arguments.ts';
import { filesCommand } from './files-command.ts';

const json: Option = { flag: '--json', doc: 'as JSON, a line each' };
const quiet: Option = { flag: '--quiet', doc: 'no progress' };
const any = Number.POSITIVE_INFINITY;

const login = filesCommand(
  'login',
  {
    summary: 'be an active peer again after a logout (a member that never logged out is one)',
    usage:
      '[--user NAME] [--json] [flags]   (with --user the password is checked: typed, a line on standard input, or WARREN_USER_PASSWORD)',
    options: [
      {
        flag: '--user',
        value: 'NAME',
        doc: "the member's account, to have its password checked; another account needs a member of its own",
      },
      json,
    ],
    words: [0, 0],
  },
  async () => (await import('./session.ts')).login,
);

const logout = filesCommand(
  'logout',
  {
    summary: 'be no active peer any more: others do not find what is shared here, until the next login',
    usage: '[--json] [flags]',
    options: [json],
    words: [0, 0],
  },
  async () => (await import('./session.ts')).logout,
);

const list = filesCommand(
  'list',
  {
    summary: 'show what this member shares, or with --network what all do',
    usage: '[FOLDER] [--network] [--json] [flags]',
    options: [{ flag: '--network', doc: 'what all share, instead of what this member does' }, json],
    words: [0, 1],
  },
  async () => (await import('./list.ts')).list,
);

const search = filesCommand(
  'search',
  {
    summary: 'find files in the network by words of their names',
    usage: 'WORDS… [--type EXT] [--min-size SIZE] [--max-size SIZE] [--limit N] [--json] [flags]',
    options: [
      { flag: '--type', value: 'EXT', doc: 'only files of this extension, as in --type pdf' },
      {
        flag: '--min-size',
        value: 'SIZE',
        doc: 'only files of this size at least, as in 10M (K, M, G, T: powers of 1024)',
      },
      { flag: '--max-size', value: 'SIZE', doc: 'only files of this size at most' },
      { flag: '--limit', value: 'N', doc: 'so many at most; 100 unless given' },
      json,
    ],
    words: [0, any],
  },
  async () => (await import('./search.ts')).search,
);

const get = filesCommand(
  'get',
  {
    summary: 'pull a file or folder into the share, from all who have it; typed again it goes on where it was',
    usage:
      'ID|NAME [--to PATH] [--sources N] [--locate directory|ring|both] [--quiet] [--json] [flags]   (ID: or its first 8 digits at least)',
    options: [
      { flag: '--to', value: 'PATH', doc: 'where in the share it goes; its own name unless given' },
      { flag: '--sources', value: 'N', doc: 'pull from so many members at most' },
      {
        flag: '--locate',
        value: 'WHERE',
        doc: 'look for who has it in the directory, on the ring, or in both; as member.locate says unless given',
      },
      { flag: '--from', value: 'MEMBER', doc: 'pull from this member only, by its id (may be given again)' },
      quiet,
      { flag: '--json', doc: 'each change as JSON, a line each, on standard output' },
    ],
    words: [1, 1],
  },
  async () => (await import('./get.ts')).get,
);

const put = filesCommand(
  'put',
  {
    summary: 'have another member take a file or folder of this machine; it is shared first if it is not',
    usage:
      'FILE [--peer MEMBER] [--quiet] [--json] [flags]   (FILE: of this machine, or a path of the share, or an id)',
    options: [
      {
        flag: '--peer',
        value: 'MEMBER',
        doc: 'to this member, by its id (may be given again); one that the directory names unless given',
      },
      quiet,
      { flag: '--json', doc: 'each change as JSON, a line each, on standard output' },
    ],
    words: [1, 1],
  },
  async () => (await import('./put.ts')).put,
);

const share = filesCommand(
  'share',
  {
    summary: 'share a file or folder with all members: it is copied into the share',
    usage: 'PATH [--to PATH] | --list | --stop PATH [--yes]   [--json] [flags]',
    options: [
      { flag: '--to', value: 'PATH', doc: 'where in the share it goes; its own name unless given' },
      { flag: '--list', doc: 'what is shared, as warren files list' },
      { flag: '--stop', doc: 'share PATH no longer: it is deleted from the share, and stays where it was copied from' },
      { flag: '--yes', doc: 'with --stop: do not ask' },
      json,
    ],
    words: [0, 1],
  },
  async () => (await import('./share.ts')).share,
);

const status = filesCommand(
  'status',
  {
    summary: 'show the transfers, and how the member is',
    usage: '[--all] [--json] [flags]',
    options: [
      { flag: '--all', doc: 'also transfers that are over' },
      { flag: '--json', doc: 'all of it as JSON, on one line' },
    ],
    words: [0, 0],
  },
  async () => (await import('./status.ts')).status,
);

const watch = filesCommand(
  'watch',
  {
    summary: 'show transfers and what happens in the network, until Ctrl-C',
    usage: '[--json] [flags]',
    options: [{ flag: '--json', doc: 'each change as JSON, a line each' }],
    words: [0, 0],
  },
  async () => (await import('./watch.ts')).watch,
);

const controls = (
  [
    ['pause', 'halt a transfer; what has come stays'],
    ['resume', 'let a paused transfer go on'],
    ['cancel', 'end a transfer, and drop what has come of it'],
  ] as const
).map(([word, summary]) =>
  filesCommand(
    word,
    {
      summary,
      usage: 'NAME|ID | --all   [--json] [flags]   (see warren files status)',
      options: [{ flag: '--all', doc: 'all that are not over' }, json],
      words: [0, 1],
    },
    async () => (await import('./transfer-control.ts'))[word],
  ),
);

const limit = filesCommand(
  'limit',
  {
    summary: 'show or set how fast files move, and how much others may put here',
    usage: '[--up RATE] [--down RATE] [--offers SIZE] [--json] [flags]',
    options: [
      {
        flag: '--up',
        value: 'RATE',
        doc: 'bytes a second that are sent at most, as in 10M (K, M, G: powers of 1024); 0: no limit',
      },
      { flag: '--down', value: 'RATE', doc: 'bytes a second that are received at most; 0: no limit' },
      { flag: '--offers', value: 'SIZE', doc: 'bytes that others may have this member take in all; 0: none' },
      json,
    ],
    words: [0, 0],
  },
  async () => (await import('./limit.ts')).limit,
);

const menu = filesCommand(
  'menu',
  {
    summary: "the same by numbers, as the origin's client had it: exit, download, upload, list index, logout",
    usage: '[flags]',
    options: [],
    words: [0, 0],
  },
  async () => (await import('./menu.ts')).menu,
);

/** `warren files …`, in the order of the help. */
export const filesCommands: readonly Command[] = [
  login,
  logout,
  list,
  search,
  get,
  put,
  share,
  status,
  watch,
  ...controls,
  limit,
  menu,
];
