/** Where a pattern's words so far lead. */
class Node {
  readonly next = new Map<string, Node>();
  readonly isHash: boolean;
  /** A whole pattern ends here. */
  pattern: string | undefined;

  constructor(isHash: boolean) {
    this.isHash = isHash;
  }
}

/**
 * Topic patterns by their words, so that a key is compared with those that begin like it, and not with all: words between dots, `*` is one
 * word, `#` any number of them, also none (AMQP 0-9-1 §3.1.3.3).
 */
export class TopicTrie {
  readonly #root = new Node(false);

  add(pattern: string): void {
    let node = this.#root;
    for (const word of wordsOf(pattern)) {
      let next = node.next.get(word);
      if (!next) {
        next = new Node(word === '#');
        node.next.set(word, next);
      }
      node = next;
    }
    node.pattern = pattern;
  }

  remove(pattern: string): void {
    const words = wordsOf(pattern);
    const path = [this.#root];
    for (const word of words) {
      const next = path.at(-1)?.next.get(word);
      if (!next) return;
      path.push(next);
    }
    for (const [depth, node] of [...path.entries()].reverse()) {
      if (depth === words.length) node.pattern = undefined;
      const word = words[depth - 1];
      if (node.pattern !== undefined || node.next.size > 0 || word === undefined) return;
      path[depth - 1]?.next.delete(word);
    }
  }

  /** The patterns that fit. The places in the trie after each word are a set: many `#` do not multiply. */
  match(key: string): string[] {
    let places = new Set<Node>();
    enter(places, this.#root);
    for (const word of wordsOf(key)) {
      const after = new Set<Node>();
      for (const place of places) {
        if (place.isHash) enter(after, place);
        if (word !== '*' && word !== '#') enter(after, place.next.get(word));
        enter(after, place.next.get('*'));
      }
      if (after.size === 0) return [];
      places = after;
    }
    const patterns: string[] = [];
    for (const { pattern } of places) if (pattern !== undefined) patterns.push(pattern);
    return patterns;
  }
}

/** A `#` may stand for nothing. */
function enter(places: Set<Node>, place: Node | undefined): void {
  for (let at = place; at && !places.has(at); at = at.next.get('#')) places.add(at);
}

function wordsOf(text: string): string[] {
  return text === '' ? [] : text.split('.');
}
