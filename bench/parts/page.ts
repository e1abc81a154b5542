import { existsSync, readFileSync, writeFileSync } from 'node:fs';

/** Puts text between a benchmark's markers on a page; the page, or its section, is made when it is not there yet. */
export function writeSection(file: string, name: string, text: string): void {
  const [begin, end] = [`<!-- bench:${name} -->`, `<!-- /bench:${name} -->`];
  const section = `${begin}\n\n${text}\n\n${end}`;
  const page = existsSync(file)
    ? readFileSync(file, 'utf8')
    : '# Benchmarks\n\nEach section is written by `npm run bench -- NAME --write`. Compare within a section, not across runs.\n';
  const from = page.indexOf(begin);
  const to = page.indexOf(end);
  writeFileSync(
    file,
    from === -1 || to < from
      ? `${page.trimEnd()}\n\n## ${name}\n\n${section}\n`
      : page.slice(0, from) + section + page.slice(to + end.length),
  );
}
