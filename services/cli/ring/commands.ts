import { loadConfig } from '../../config/load.ts';
import { Failure } from '../../lib/failure.ts';
import type { Command } from '../command.ts';
import type { Io } from '../io.ts';
import { loadOptions } from '../settings-file.ts';
import { takeOptions } from '../take-options.ts';
import { patience, type RingOwner, withRing } from './connect.ts';

const json = { flag: '--json', doc: 'as JSON' };
const keyHelp = 'KEY: any text, or 40 hexadecimal digits for a place itself';

interface Asked {
  readonly words: readonly string[];
  readonly isJson: boolean;
  readonly values: ReadonlyMap<string, readonly string[]>;
  readonly io: Io;
}

/** A command that asks the daemon one thing. @param words how many it needs, and what they are, for people */
function ringCommand(
  name: string,
  summary: string,
  usage: string,
  words: readonly string[],
  act: (ring: RingOwner, asked: Asked) => Promise<string>,
  more: Record<string, { value: string; doc: string }> = {},
): Command {
  const options = Object.entries(more).map(([flag, { value, doc }]) => ({ flag: `${flag} ${value}`, doc }));
  return {
    ...{ name: `ring ${name}`, summary, usage: `${usage}[--json] [flags]`, settings: 'ring' },
    options: [...options, json],
    async run(argv, _stop, io) {
      const { values, words: given, rest } = takeOptions(argv, { '--json': { isSwitch: true }, ...more });
      const missing = words[given.length];
      // A mistake in a file is told before one on the line.
      if (missing !== undefined) loadConfig(loadOptions('ring', rest, io));
      if (missing !== undefined) throw new Failure('CONFIG', `${missing}? warren ring ${name} ${usage.trim()}`);
      const flags = [...given.slice(words.length), ...rest];
      const asked = { words: given, isJson: values.has('--json'), values, io };
      io.out(await withRing(flags, io, ring => act(ring, asked)));
    },
  };
}

function asJson(value: object): string {
  const plain = (_key: string, each: unknown): unknown => (typeof each === 'bigint' ? Number(each) : each);
  return `${JSON.stringify(value, plain, 2)}\n`;
}

export const ringShow = ringCommand(
  'show',
  'draw the ring with all its nodes, and where this one stands',
  '',
  [],
  async (ring, { isJson }) => {
    const shown = await ring.show({}, patience);
    const { formatShow } = await import('./format.ts');
    return isJson ? asJson(shown) : formatShow(shown);
  },
);

export const ringLookup = ringCommand(
  'lookup',
  'find the node that owns a key, with the way there and the time of each hop',
  'KEY ',
  ['which key'],
  async (ring, { words: [key = ''], isJson }) => {
    const found = await ring.lookup({ key }, patience);
    const { formatLookup } = await import('./format.ts');
    return isJson ? asJson(found) : formatLookup(found);
  },
);

export const ringPut = ringCommand(
  'put',
  `keep a value of up to 64 KiB on the ring (${keyHelp})`,
  'KEY VALUE ',
  ['which key', 'which value (- reads it from standard input)'],
  async (ring, { words: [key = '', text = ''], isJson, values }) => {
    const value = text === '-' ? await standardInput() : Buffer.from(text);
    const [days] = values.get('--days') ?? [];
    const lifeMs = days === undefined ? 0 : Math.round(Number(days) * 86_400_000);
    if (!(lifeMs >= 0)) throw new Failure('CONFIG', '--days must be a number up to 7');
    const { place } = await ring.put({ key, value, lifeMs }, patience);
    return isJson ? asJson({ place }) : `kept at ${place}\n`;
  },
  { '--days': { value: 'N', doc: 'after which it is forgotten; 7 unless given, and at most' } },
);

export const ringGet = ringCommand(
  'get',
  'print what the ring keeps for a key',
  'KEY ',
  ['which key'],
  async (ring, { words: [key = ''], isJson }) => {
    const { value, writer, counter } = await ring.get({ key }, patience);
    if (isJson) return asJson({ value: value.toString('base64'), writer, counter });
    return value.at(-1) === 10 ? value.toString() : `${value.toString()}\n`;
  },
);

export const ringRemove = ringCommand(
  'remove',
  'take a key off the ring',
  'KEY ',
  ['which key'],
  async (ring, { words: [key = ''], isJson }) => {
    await ring.remove({ key }, patience);
    return isJson ? asJson({ removed: key }) : 'removed\n';
  },
);

export const ringLeave = ringCommand(
  'leave',
  'hand over what this node holds, and stay outside until its daemon starts again',
  '',
  [],
  async (ring, { isJson }) => {
    await ring.leave({}, patience);
    return isJson ? asJson({ left: true }) : 'has left the ring\n';
  },
);

/** No more than a value may have, and one byte, so that the daemon says what is too much. */
async function standardInput(): Promise<Buffer> {
  const parts: Buffer[] = [];
  let length = 0;
  for await (const part of process.stdin) {
    parts.push(Buffer.from(part));
    length += part.length;
    if (length > 64 * 1024) break;
  }
  return Buffer.concat(parts);
}
