/**
 * Whether a routing key matches a topic pattern: words between dots, `*` is one word, `#` any number of them, also none
 * (AMQP 0-9-1 §3.1.3.3).
 */
export function topicMatches(pattern: string, key: string): boolean {
  if (pattern === '#' || pattern === key) return true;
  return matchWords(pattern === '' ? [] : pattern.split('.'), key === '' ? [] : key.split('.'));
}

/** Set of pattern positions after each word, so that the cost is bounded by pattern × key and not by 2^hashes. */
function matchWords(pattern: readonly string[], words: readonly string[]): boolean {
  let positions = closure(new Set([0]), pattern);
  for (const word of words) {
    const next = new Set<number>();
    for (const at of positions) {
      const part = pattern[at];
      if (part === '#') next.add(at);
      else if (part === '*' || (part !== undefined && part === word)) next.add(at + 1);
    }
    positions = closure(next, pattern);
    if (positions.size === 0) return false;
  }
  return positions.has(pattern.length);
}

/** A `#` may stand for nothing. */
function closure(positions: Set<number>, pattern: readonly string[]): Set<number> {
  for (const at of positions) if (pattern[at] === '#') positions.add(at + 1);
  return positions;
}
