import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const root = join(import.meta.dirname, '../..');
const page = readFileSync(join(root, 'docs/security.md'), 'utf8');

/** Files of tests that the page names, each with the titles before it that are not another's. */
function claims(text: string): { file: string; titles: string[] }[] {
  const found = new Map<string, string[]>();
  let inTable: string | undefined;
  for (const block of text.split(/\n(?=[-|#])|\n\n/)) {
    const head = /^\|.*shown by \(`(test\/[^`]+)`\)/.exec(block);
    if (head?.[1]) inTable = head[1];
    else if (!block.startsWith('|')) inTable = undefined;
    const [own] = /test\/[\w./-]+\.test\.ts/.exec(block) ?? [];
    const file = own ?? inTable;
    const titles = [...block.matchAll(/\*([^*\n]{3,}(?:\n[^*\n]+)?)\*/g)].map(([, title = '']) =>
      title.replaceAll(/\s+/g, ' '),
    );
    if (file === undefined) continue;
    found.set(file, [...(found.get(file) ?? []), ...titles]);
  }
  return [...found].map(([file, titles]) => ({ file, titles }));
}

test('every test that docs/security.md names is there', () => {
  const named = claims(page);
  expect(named.length).toBeGreaterThan(4);
  expect(named.flatMap(({ titles }) => titles).length).toBeGreaterThan(12);
  for (const { file, titles } of named) {
    expect(existsSync(join(root, file)), file).toBe(true);
    const source = readFileSync(join(root, file), 'utf8');
    for (const title of titles)
      expect(source.includes(`'${title}'`) || source.includes(`"${title}"`), `${file}: ${title}`).toBe(true);
  }
});
