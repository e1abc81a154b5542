import { posix, win32 } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { freeName, parseSharePath, refusalOfName, refusalOfPath } from '../../services/peer/share-path.ts';

/** Names that have been trouble somewhere, and pieces of such. */
const odd = fc.constantFrom(
  ...[
    '',
    '.',
    '..',
    '...',
    '/',
    '\\',
    'C:',
    'c:\\x',
    '\\\\host\\share',
    '\0',
    '\n',
    '\r',
    '\u001b[2J',
    '\u202egpj.exe',
  ],
  ...['CON', 'nul.txt', 'aux', 'COM1', 'com¹.log', 'x.', 'x ', ' x', 'a:b', 'a?b', '~', '-rf', '.warren', '.WARREN'],
  ...['é', 'e\u0301', '\ud800', '\ufffd', 'ﬁle', '日本語', '🐇', 'x'.repeat(255), 'x'.repeat(256), 'é'.repeat(128)],
  ...['%2e%2e', '..;', '. .', '．．', '․․', '.warren\u200c', '.warren.', 'file', 'a b (2).tar.gz'],
);
const path = fc
  .array(fc.oneof(odd, fc.string({ unit: 'binary' }), fc.string()), { maxLength: 6 })
  .chain(names => fc.constantFrom('/', '\\', '//', '/./', '/../').map(by => names.join(by)));

describe('a path', () => {
  test('stays in the share wherever it is taken, or is refused', () => {
    fc.assert(
      fc.property(path, text => {
        for (const [platform, { resolve, sep }] of [
          ['posix', posix],
          ['windows', win32],
        ] as const) {
          if (refusalOfPath(text, platform) !== undefined) continue;
          const root = platform === 'posix' ? '/home/rabbit/share' : 'C:\\rabbit\\share';
          const at = resolve(root, text);
          expect(at.startsWith(root + sep)).toBe(true);
          // And as it is written: nothing is altered on the way.
          expect(
            at
              .slice(root.length + 1)
              .split(sep)
              .join('/'),
          ).toBe(text);
        }
      }),
      { numRuns: 5_000 },
    );
  });

  test('that Windows takes is taken elsewhere too', () => {
    fc.assert(
      fc.property(path, text => {
        if (refusalOfPath(text, 'windows') === undefined) expect(refusalOfPath(text, 'posix')).toBeUndefined();
      }),
    );
  });

  test.each([
    ['', 'EMPTY'],
    ['a//b', 'EMPTY'],
    ['a/', 'EMPTY'],
    ['/etc/passwd', 'ABSOLUTE'],
    ['../x', 'DOTS'],
    ['a/../../x', 'DOTS'],
    ['a/./b', 'DOTS'],
    ['a\\b', 'SEPARATOR'],
    ['..\\x', 'SEPARATOR'],
    ['C:\\x', 'SEPARATOR'],
    ['a\0b', 'CONTROL'],
    ['a\nb', 'CONTROL'],
    ['photo\u202egpj.exe', 'CONTROL'],
    ['\ud800', 'NOT_UNICODE'],
    ['caf\ufffd', 'NOT_UNICODE'],
    ['x'.repeat(256), 'TOO_LONG'],
    ['é'.repeat(128), 'TOO_LONG'],
    [Array.from({ length: 20 }, () => 'x'.repeat(250)).join('/'), 'TOO_LONG'],
    [Array.from({ length: 65 }, () => 'x').join('/'), 'TOO_DEEP'],
    ['.warren/partial/x', 'OWN'],
    ['a/.Warren', 'OWN'],
    ['.warren\u200c', 'OWN'],
  ])('%j is refused: %s', (text, refusal) => {
    for (const platform of ['posix', 'windows'] as const) expect(refusalOfPath(text, platform)).toBe(refusal);
    expect(() => parseSharePath(text, 'posix')).toThrow(expect.objectContaining({ code: `PEER_PATH_${refusal}` }));
  });

  test.each([
    ['CON', 'DEVICE'],
    ['a/nul.txt', 'DEVICE'],
    ['aux.tar.gz', 'DEVICE'],
    ['lpt³', 'DEVICE'],
    ['C:', 'CHARACTER'],
    ['file:stream', 'CHARACTER'],
    ['what?', 'CHARACTER'],
    ['x.', 'ENDING'],
    ['x ', 'ENDING'],
    ['.warren.', 'OWN'],
  ])('%j is refused on Windows alone: %s', (text, refusal) => {
    expect(refusalOfPath(text, 'windows')).toBe(refusal);
    expect(refusalOfPath(text, 'posix')).toBeUndefined();
  });

  test.each(['é', 'e\u0301', '日本語/🐇', 'x'.repeat(255), '-rf', '~', ' x', 'console.log', 'comfort', '..x', '...x'])(
    '%j survives',
    text => {
      for (const platform of ['posix', 'windows'] as const) expect(parseSharePath(text, platform)).toBe(text);
    },
  );
});

describe('a free name', () => {
  test('counts before the extension', () => {
    expect(freeName('a.txt', 1)).toBe('a.txt');
    expect(freeName('a.txt', 2)).toBe('a (2).txt');
    expect(freeName('.profile', 3)).toBe('.profile (3)');
    expect(freeName('noext', 2)).toBe('noext (2)');
  });

  test('of a good name is a good name, and another one', () => {
    fc.assert(
      fc.property(
        fc.oneof(odd, fc.string({ unit: 'grapheme' })),
        fc.integer({ min: 2, max: 10_000 }),
        (name, attempt) => {
          fc.pre(refusalOfName(name, 'posix') === undefined);
          const free = freeName(name, attempt);
          expect(refusalOfName(free, 'posix')).toBeUndefined();
          expect(free).not.toBe(name);
        },
      ),
    );
  });
});
