import { expect, test } from 'vitest';
import { column, cutEnd, cutMiddle, jsonLine, visible, widthOf } from '../../../services/cli/visible.ts';

test.each([
  ['an escape', '\u001b[31mred', '\\x1b[31mred'],
  ['a newline', 'a\nb\r', 'a\\x0ab\\x0d'],
  ['C1', '\u009b2J', '\\x9b2J'],
  ['delete', '\u007f', '\\x7f'],
  ['the turned extension', 'gnp.\u202efdp', 'gnp.\\u{202e}fdp'],
  ['isolates', '\u2066a\u2069', '\\u{2066}a\\u{2069}'],
  ['line separators', 'a\u2028b', 'a\\u{2028}b'],
  ['what hides', 'a\u200bb\ufeff', 'a\\u{200b}b\\u{feff}'],
  ['tags', '\u{e0041}', '\\u{e0041}'],
  ['half a pair', 'a\ud800', 'a\\u{d800}'],
])('%s is shown and does nothing', (_, text, shown) => {
  expect(visible(text)).toBe(shown);
  const line = jsonLine({ text });
  expect(JSON.parse(line)).toEqual({ text });
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there
  expect(line.slice(0, -1)).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u202e\u2066\u2069\u2028\u200b\ufeff\u{e0041}]/u);
});

test('other writing stays as it is', () => {
  for (const text of ['résumé.pdf', '漢字', 'עברית', 'क्षि', '👩‍👩‍👧 a']) expect(visible(text)).toBe(text);
});

test.each([
  ['report.pdf', 10],
  ['漢字.txt', 8],
  ['e\u0301', 1],
  ['👍🏽', 2],
  ['👩‍👩‍👧', 2],
  ['', 0],
])('%s is %i columns wide', (text, width) => expect(widthOf(text)).toBe(width));

test('a long name is cut in the middle, a line at its end', () => {
  expect(cutMiddle('a-very-long-name-of-a-report.pdf', 15)).toBe('a-very-…ort.pdf');
  expect(cutMiddle('short.pdf', 15)).toBe('short.pdf');
  expect(cutMiddle('漢字漢字漢字', 7)).toBe('漢…漢字');
  expect(cutMiddle('abc', 0)).toBe('');
  expect(cutEnd('a long line', 7)).toBe('a long…');
  expect(column('漢字漢字', 6)).toBe('漢…字 ');
  expect(column('ab', 4)).toBe('ab  ');
});
