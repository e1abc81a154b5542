/**
 * The reference: whether a routing key fits a topic exchange's pattern. Words are separated by dots, `*` is one word,
 * `#` is any number of them, none included. The empty key has no word; a dot at an end makes an empty word there.
 */
export function isTopicMatch(pattern: string, key: string): boolean {
  return fits(wordsOf(pattern), wordsOf(key));
}

function wordsOf(text: string): readonly string[] {
  return text === '' ? [] : text.split('.');
}

function fits(pattern: readonly string[], key: readonly string[]): boolean {
  const [first, ...rest] = pattern;
  if (first === undefined) return key.length === 0;
  if (first === '#') return fits(rest, key) || (key.length > 0 && fits(pattern, key.slice(1)));
  const [word, ...more] = key;
  return word !== undefined && (first === '*' || first === word) && fits(rest, more);
}
