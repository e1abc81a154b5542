import { resolve } from 'node:path';
import { loadConfig } from '../../config/load.ts';
import { Failure } from '../../lib/failure.ts';
import type { Command } from '../command.ts';
import { loadOptions } from '../settings-file.ts';
import { type Option, readArguments } from './arguments.ts';
import type { Asked } from './asked.ts';
import { filesExits } from './exits.ts';

export interface Shape {
  readonly summary: string;
  readonly usage: string;
  readonly options: readonly Option[];
  /** How many it takes: least, and most. */
  readonly words: readonly [number, number];
}

/** One of `warren files …`: reads what was typed, and calls the own member. Its code, and that of calls, is loaded only then. */
export function filesCommand(
  word: string,
  { summary, usage, options, words: [least, most] }: Shape,
  load: () => Promise<(asked: Asked) => Promise<void>>,
): Command {
  const name = `files ${word}`;
  return {
    ...{ name, summary, usage, settings: 'files', exits: filesExits },
    options: options.map(({ flag, value, doc }) => ({ flag: value === undefined ? flag : `${flag} ${value}`, doc })),
    async run(argv, stop, io) {
      const given = readArguments('files', name, argv, options);
      const config = loadConfig(loadOptions('files', given.settings, io));
      if (given.words.length < least) throw new Failure('CONFIG', `too few words: warren ${name} ${usage}`);
      if (given.words.length > most)
        throw new Failure('CONFIG', `one word too many, ${JSON.stringify(given.words[most])}: warren ${name} ${usage}`);
      const [{ withMember }, act] = await Promise.all([import('./member-call.ts'), load()]);
      await withMember({ given, dataDir: resolve(io.cwd, config.data.dir), io, stop }, act);
    },
  };
}
