import { loadConfig } from '../../config/load.ts';
import { Failure } from '../../lib/failure.ts';
import type { Command, Exit } from '../command.ts';
import { type Arguments, type Option, readArguments } from '../files/arguments.ts';
import { loadOptions } from '../settings-file.ts';
import type { Asked } from './chat-call.ts';
import { withOwnFlags } from './origin-switches.ts';

const json: Option = { flag: '--json', doc: 'as JSON, a line each' };
const inRoom: Option = { flag: '--room', value: 'ROOM', doc: 'in this room; lobby unless given' };
const any = Number.POSITIVE_INFINITY;
/** How commands of this group end; their code is loaded later. */
const exits: readonly Exit[] = [
  {
    code: 3,
    doc: 'no member runs for the data directory, or it ended meanwhile',
    failures: ['DAEMON_NOT_RUNNING', 'DAEMON_ENDPOINT', 'CHAT_MEMBER_GONE'],
  },
  { code: 6, doc: 'refused: the line says why', failures: ['CHAT_REFUSED'] },
  {
    code: 8,
    doc: 'nobody serves the chat now, or it cannot be reached: what was said waits, and goes by itself',
    failures: ['CHAT_AWAY'],
  },
];

interface Shape {
  readonly summary: string;
  readonly usage: string;
  readonly options: readonly Option[];
  readonly words: readonly [number, number];
}

type Speak = typeof import('./speak.ts');

function chatCommand(
  word: string,
  { summary, usage, options, words: [least, most] }: Shape,
  act: (speak: Speak) => (asked: Asked) => Promise<void>,
): Command {
  const name = `chat ${word}`;
  return {
    ...{ name, summary, usage: `${usage} [--json] [flags]`, settings: 'ring', exits },
    options: [...options, json].map(({ flag, value, doc }) => ({ flag: value ? `${flag} ${value}` : flag, doc })),
    async run(argv, stop, io) {
      const given = readArguments('ring', name, argv, [...options, json]);
      const { data } = loadConfig(loadOptions('ring', given.settings, io));
      if (given.words.length < least) throw new Failure('CONFIG', `too few words: warren ${name} ${usage}`);
      if (given.words.length > most) throw new Failure('CONFIG', `too many words: warren ${name} ${usage}`);
      const [{ withChat }, speak] = await Promise.all([import('./chat-call.ts'), import('./speak.ts')]);
      await withChat({ given, io, stop, dir: data.dir }, act(speak));
    },
  };
}

const roomOf = ({ words: [room = ''] }: Arguments): string => room;

export const chatCommands: readonly Command[] = [
  {
    name: 'chat',
    summary: 'talk in the terminal; without a member that runs, as one that does nothing else',
    usage: '[flags]   (-s, -u NAME, -n N as well)',
    settings: 'chat',
    options: [],
    exits,
    async run(argv, stop, io) {
      const config = loadConfig(loadOptions('chat', withOwnFlags(argv), io));
      const { runChat } = await import('./run-chat.ts');
      await runChat(config, stop, io);
    },
  },
  chatCommand(
    'send',
    {
      summary: 'say something in a room, and wait until it stands in the log',
      usage: 'TEXT…',
      options: [
        inRoom,
        {
          flag: '--mention',
          value: 'NAME',
          doc: 'call an account of the room (may be given again); @NAME in the text does so as well',
        },
        { flag: '--file', value: 'ID[:NAME]', doc: 'with a file of your share' },
      ],
      words: [1, any],
    },
    ({ send }) => send,
  ),
  chatCommand(
    'tail',
    {
      summary: 'show what happens, until interrupted',
      usage: '',
      options: [{ ...inRoom, doc: 'only messages of this room' }],
      words: [0, 0],
    },
    ({ tail }) => tail,
  ),
  chatCommand('rooms', { summary: 'show all rooms', usage: '', options: [], words: [0, 0] }, ({ rooms }) => rooms),
  chatCommand('join', { summary: 'enter a room', usage: 'ROOM', options: [], words: [1, 1] }, ({ change }) =>
    change(given => ({ room: roomOf(given), change: { $case: 'join', value: {} } })),
  ),
  chatCommand('leave', { summary: 'leave a room', usage: 'ROOM', options: [], words: [1, 1] }, ({ change }) =>
    change(given => ({ room: roomOf(given), change: { $case: 'leave', value: {} } })),
  ),
  chatCommand(
    'create',
    { summary: 'make a room, and own it', usage: 'ROOM [TOPIC…]', options: [], words: [1, any] },
    ({ change }) =>
      change(given => ({
        room: roomOf(given),
        change: { $case: 'create', value: { topic: given.words.slice(1).join(' ') } },
      })),
  ),
  chatCommand(
    'history',
    {
      summary: "show a room's last messages, or those with all these words",
      usage: '[WORDS…]',
      options: [
        inRoom,
        { flag: '--before', value: 'SEQ', doc: 'those before that one' },
        { flag: '--limit', value: 'N', doc: 'so many; 50 unless given, 200 at most' },
      ],
      words: [0, any],
    },
    ({ history }) => history,
  ),
  chatCommand(
    'dm',
    {
      summary: 'write privately to an account; without a text show what was written, without an account with whom',
      usage: '[ACCOUNT] [TEXT…]',
      options: [],
      words: [0, any],
    },
    ({ dm }) => dm,
  ),
];
