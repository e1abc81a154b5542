import { column, cutEnd, visible, widthOf } from '../visible.ts';
import type { FoundView, SharedView } from './transfer-view.ts';
import { formatBytes } from './units.ts';

/** What a search found: id, size, how many have it, path. @param columns of the terminal; undefined: none */
export function foundTable(found: readonly FoundView[], columns?: number): string {
  return table(
    ['ID', 'SIZE', 'HAVE IT', 'NAME'],
    found.map(({ fileId, length, holders, path, kind }) => [
      shownId(fileId, columns),
      formatBytes(length),
      String(holders),
      `${visible(path)}${kind === 'folder' ? '/' : ''}`,
    ]),
    columns,
  );
}

/** What is shared: id, size, path; and why not. */
export function sharedTable(files: readonly SharedView[], columns?: number): string {
  return table(
    ['ID', 'SIZE', 'PATH'],
    files.map(({ fileId, length, path, refused }) => [
      shownId(fileId, columns),
      formatBytes(length),
      `${visible(path)}${refused === '' ? '' : `   (not shared: ${visible(refused)})`}`,
    ]),
    columns,
  );
}

/** Digits of an id that are shown on a terminal, and can be typed. */
const shortIdDigits = 12;

/** Whole where a program may read it. */
function shownId(id: string, columns: number | undefined): string {
  return columns === undefined ? id : id.slice(0, shortIdDigits);
}

/** The first and the last column to the left, those between to the right; on a terminal no line is wider. */
export function table(head: readonly string[], rows: readonly (readonly string[])[], columns?: number): string {
  if (rows.length === 0) return '';
  const last = head.length - 1;
  const widths = head.map((_, at) => Math.max(...[head, ...rows].map(row => widthOf(row[at] ?? ''))));
  const line = (row: readonly string[]): string =>
    row
      .map((text, at) => {
        const width = widths[at] ?? 0;
        if (at === last) return text;
        return at === 0 ? column(text, width) : ' '.repeat(Math.max(0, width - widthOf(text))) + text;
      })
      .join('  ');
  return [head, ...rows].map(row => `${cut(line(row), columns)}\n`).join('');
}

function cut(line: string, columns: number | undefined): string {
  return columns === undefined ? line : cutEnd(line, columns);
}
