import { describe, expect, test } from 'vitest';
import { readArguments } from '../../../services/cli/files/arguments.ts';
import type { Asked } from '../../../services/cli/files/asked.ts';
import { filesCommands } from '../../../services/cli/files/commands.ts';
import { get } from '../../../services/cli/files/get.ts';
import { limit } from '../../../services/cli/files/limit.ts';
import { put } from '../../../services/cli/files/put.ts';
import { search } from '../../../services/cli/files/search.ts';
import { share } from '../../../services/cli/files/share.ts';
import { pause } from '../../../services/cli/files/transfer-control.ts';

const options = [
  { flag: '--to', value: 'PATH', doc: '' },
  { flag: '--json', doc: '' },
];

describe('arguments', () => {
  test('are words and flags in any order', () => {
    const given = readArguments(
      'files',
      'files get',
      ['--json', 'a', '--data', 'd', '--to=x', 'b', '--to', 'y', '--', '--c'],
      options,
    );
    expect(given.words).toEqual(['a', 'b', '--c']);
    expect(given.settings).toEqual(['--data', 'd']);
    expect([given.one('--to'), given.all('--to'), given.has('--json'), given.one('--quiet')]).toEqual([
      'y',
      ['x', 'y'],
      true,
      undefined,
    ]);
  });

  test.each([
    [['--tto', 'x'], 'unknown flag --tto; did you mean --to?'],
    [['--datta', 'x'], 'unknown flag --datta; did you mean --data?'],
    [['-x'], 'unknown flag -x (see warren files get --help)'],
    [['--to'], '--to needs a value: --to PATH'],
    [['--to', '--json'], '--to needs a value: --to PATH'],
    [['--json=1'], '--json takes no value'],
  ])('%j is a mistake', (argv, message) => {
    expect(() => readArguments('files', 'files get', argv, options)).toThrow(message);
  });
});

describe('a mistake is told before the member is asked', () => {
  const asked = (word: string, argv: readonly string[]): Asked => {
    const shape = filesCommands.find(({ name }) => name === `files ${word}`)?.options ?? [];
    const own = shape.map(({ flag, doc }) => {
      const [name = '', value] = flag.split(' ');
      return value === undefined ? { flag: name, doc } : { flag: name, value, doc };
    });
    const io = { out: () => {}, err: () => {}, env: {}, cwd: '/' };
    const daemon = {
      client: () =>
        new Proxy(
          {},
          {
            get: () => () => {
              throw new Error('asked');
            },
          },
        ) as never,
      isConnected: () => false,
      close: () => {},
    };
    return {
      given: readArguments('files', word, argv, own),
      daemon,
      dataDir: '/d',
      io,
      stop: new AbortController().signal,
    };
  };

  test.each<[string, (asked: Asked) => Promise<void>, string[], string]>([
    ['get', get, ['a', '--sources', '0'], '--sources wants a number from 1 on, not "0"'],
    ['get', get, ['a', '--from', 'bob'], "--from wants a member's id"],
    ['get', get, ['a', '--to', '/tmp/a'], '--to is a path within the share'],
    ['get', get, ['a', '--to', '../a'], '--to is a path within the share'],
    ['get', get, ['a', '--to', 'a\nb'], '(CONTROL)'],
    ['put', put, ['a', '--peer', 'bob'], "--peer wants a member's id"],
    ['search', search, [], 'what is sought?'],
    ['search', search, ['a', '--min-size', '10MB'], '--min-size wants a size as in 10M'],
    ['search', search, ['a', '--limit', 'x'], '--limit wants a number'],
    ['limit', limit, ['--up', 'fast'], '--up wants a size as in 10M'],
    ['share', share, [], 'share what?'],
    ['share', share, ['/none/such'], 'there is no /none/such to share'],
    ['pause', pause, [], 'which one? warren files pause NAME'],
    ['pause', pause, ['a', '--all'], 'which one?'],
  ])('%s %j', async (word, act, argv, message) => {
    await expect(act(asked(word, argv))).rejects.toMatchObject({
      code: 'CONFIG',
      message: expect.stringContaining(message),
    });
  });
});
