import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { formatIniValue, parseIni } from '../../services/config/ini.ts';

const values = (text: string) => parseIni(text).entries.map(({ section, key, value }) => [`${section}.${key}`, value]);

describe('an ini file', () => {
  test('has sections, keys, comments, and lines in any of the three endings', () =>
    expect(values('\uFEFF; c\n# c\r\n[a]\r  x = 1\n\n[b.c] ; c\ny=2 = 3\nz =\n')).toEqual([
      ['a.x', '1'],
      ['b.c.y', '2 = 3'],
      ['b.c.z', ''],
    ]));

  test('cuts a comment behind a value only after a space, and not in quotes', () =>
    expect(values('[a]\nx = 1;2#3 ; c\ny = ; c\nz = "1 ; 2" # c\nw = # c\n')).toEqual([
      ['a.x', '1;2#3'],
      ['a.y', ''],
      ['a.z', '1 ; 2'],
      ['a.w', ''],
    ]));

  test.each([
    ['[a]\nnonsense\n', 2, 'is neither [section] nor key = value'],
    ['[a\nx = 1\n', 1, 'is neither [section] nor key = value'],
    ['x = 1\n', 1, 'x stands before the first [section]'],
    ['[a]\nx = 1\nx = 2\n', 3, 'a.x is set twice'],
    ['[a]\nx = 1\n[b]\n[a]\nx = 2\n', 5, 'a.x is set twice'],
    ['[a]\nx = "1\n', 2, 'a.x has a bad quoted value'],
    ['[a]\n= 1\n', 2, 'is neither [section] nor key = value'],
  ])('%j: line %d %s', (text, line, message) => expect(parseIni(text).problems[0]).toEqual({ line, message }));

  test('names like __proto__ are names like any other', () =>
    expect(values('[__proto__]\n__proto__ = 1\n')).toEqual([['__proto__.__proto__', '1']]));

  test('any value is read back as it was written', () => {
    const awkward = fc.stringMatching(/^[;#"' \\[\]=a\n]{0,12}$/);
    fc.assert(
      fc.property(fc.oneof(fc.string({ unit: 'grapheme' }), awkward), value => {
        expect(values(`[s]\nkey = ${formatIniValue(value)}  ; comment\n`)).toEqual([['s.key', value]]);
      }),
      { numRuns: 1000 },
    );
  });
});
