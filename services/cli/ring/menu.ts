import { createInterface } from 'node:readline/promises';
import { messageOf } from '../../lib/failure.ts';
import type { Command } from '../command.ts';
import { patience, type RingOwner, withRing } from './connect.ts';
import { formatLookup, formatShow } from './format.ts';

const entries = `
  1  show the ring
  2  look a key up
  3  put a value
  4  get a value
  5  remove a key
  6  leave the ring
  0  end
`;

type Ask = (question: string) => Promise<string>;

const actions: Readonly<Record<string, (ring: RingOwner, ask: Ask) => Promise<string>>> = {
  1: async ring => formatShow(await ring.show({}, patience)),
  2: async (ring, ask) => formatLookup(await ring.lookup({ key: await ask('key: ') }, patience)),
  3: async (ring, ask) => {
    const key = await ask('key: ');
    const { place } = await ring.put({ key, value: Buffer.from(await ask('value: ')), lifeMs: 0 }, patience);
    return `kept at ${place}\n`;
  },
  4: async (ring, ask) => `${(await ring.get({ key: await ask('key: ') }, patience)).value.toString()}\n`,
  5: async (ring, ask) => {
    await ring.remove({ key: await ask('key: ') }, patience);
    return 'removed\n';
  },
  6: async ring => {
    await ring.leave({}, patience);
    return 'has left the ring\n';
  },
};

/** The origin's interactive node (`Node.py`), for the daemon that runs. */
export const ringMenu: Command = {
  name: 'ring menu',
  summary: 'put, get and look up from a menu',
  usage: '[flags]',
  settings: 'ring',
  options: [],
  async run(argv, stop, io) {
    await withRing(argv, io, async ring => {
      const lines = createInterface({ input: process.stdin });
      stop.addEventListener('abort', () => lines.close());
      const given = lines[Symbol.asyncIterator]();
      let isOver = false;
      const ask: Ask = async question => {
        io.out(question);
        const { value, done } = await given.next();
        isOver ||= done === true;
        return String(value ?? '').trim();
      };
      while (!isOver) {
        const choice = await ask(`${entries}\n> `);
        if (choice === '0') break;
        const act = actions[choice];
        if (isOver) break;
        if (act === undefined) io.out('one of the numbers, please\n');
        else io.out(await act(ring, ask).catch(error => `${messageOf(error)}\n`));
      }
      lines.close();
    });
  },
};
