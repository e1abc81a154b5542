const wordsLimit = 16;

/**
 * A search as FTS5 takes it (https://www.sqlite.org/fts5.html, "Full-text Query Syntax"): every word a string of its own, so that
 * nothing in it is syntax; all of them wanted; one that ends with `*` also as a beginning.
 * @returns undefined when there is nothing in it that could be found, as in `--`; words past the 16th are not looked at
 */
export function matchOf(q: string): string | undefined {
  const words = q.split(/[\s\0]+/).filter(word => hasToken.test(word));
  if (words.length === 0) return undefined;
  return words
    .slice(0, wordsLimit)
    .map(word => `"${word.replaceAll('"', ' ')}"${word.endsWith('*') ? '*' : ''}`)
    .join(' ');
}

/** What the tokenizer unicode61 takes for a part of a word; a word without any matches nothing, and with it the others. */
const hasToken = /[\p{L}\p{N}\p{Co}]/u;
