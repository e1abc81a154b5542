/**
 * The candidate that `word` is most likely a slip of, by edit distance (insert, delete, replace, swap neighbours); undefined when none
 * is near: more than a third of the word would have to change.
 */
export function nearest(word: string, candidates: Iterable<string>): string | undefined {
  let best: string | undefined;
  let least = Math.max(1, Math.floor(word.length / 3)) + 1;
  for (const candidate of candidates) {
    const distance = editDistance(word, candidate);
    if (distance < least) {
      least = distance;
      best = candidate;
    }
  }
  return best;
}

/** The end of an error line about an unknown word: `; did you mean X?`, or nothing. */
export function suggestion(word: string, candidates: Iterable<string>, prefix = ''): string {
  const near = nearest(word, candidates);
  return near === undefined ? '' : `; did you mean ${prefix}${near}?`;
}

function editDistance(from: string, to: string): number {
  // Rows of the dynamic-programming table: row[j] is the distance of from[..i] to to[..j]. Swapping neighbours looks two
  // rows back.
  let before: number[] = [];
  let row = Array.from({ length: to.length + 1 }, (_, j) => j);
  for (let i = 1; i <= from.length; i++) {
    const next = [i];
    for (let j = 1; j <= to.length; j++) {
      const replace = at(row, j - 1) + (from[i - 1] === to[j - 1] ? 0 : 1);
      const swapped = from[i - 1] === to[j - 2] && from[i - 2] === to[j - 1];
      const swap = swapped ? at(before, j - 2) + 1 : Number.POSITIVE_INFINITY;
      next.push(Math.min(replace, at(row, j) + 1, at(next, j - 1) + 1, swap));
    }
    before = row;
    row = next;
  }
  return at(row, to.length);
}

function at(row: readonly number[], index: number): number {
  return row[index] ?? Number.POSITIVE_INFINITY;
}
