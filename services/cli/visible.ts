/**
 * What somebody else wrote, for a terminal or a log: nothing of it moves the cursor, ends the line, turns the writing's direction or
 * hides. Such characters are shown as `\x1b` or `\u{202e}`.
 */
export function visible(text: string): string {
  return text.replaceAll(unseen, character => {
    const code = character.codePointAt(0) ?? 0;
    return code < 0x100 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u{${code.toString(16)}}`;
  });
}

/** JSON on one line that does nothing to a terminal either: the same value, with those characters written as `\u001b`. */
export function jsonLine(value: unknown): string {
  const text = JSON.stringify(value).replaceAll(unseen, character =>
    Array.from(
      { length: character.length },
      (_, at) => `\\u${character.charCodeAt(at).toString(16).padStart(4, '0')}`,
    ).join(''),
  );
  return `${text}\n`;
}

// Controls (C0, C1), what directs or isolates writing, line and paragraph separators, what has no width, and halves of pairs.
const unseen =
  /[\p{Cc}\p{Zl}\p{Zp}\p{Cs}\u00ad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\u{e0000}-\u{e007f}]/gu;

const graphemes = new Intl.Segmenter('en', { granularity: 'grapheme' });
// East Asian wide and full-width, and what is drawn as emoji (https://www.unicode.org/reports/tr11/).
const wide =
  /^[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\ua960-\ua97c\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{1f300}-\u{1faff}\u{20000}-\u{3fffd}]|^\p{Emoji_Presentation}|\ufe0f/u;
const noWidth = /^[\p{Mn}\p{Me}]$/u;

/** Columns that a terminal gives it; of what has been made visible. */
export function widthOf(text: string): number {
  let width = 0;
  for (const { segment } of graphemes.segment(text)) width += widthOfOne(segment);
  return width;
}

function widthOfOne(grapheme: string): number {
  if (noWidth.test(grapheme)) return 0;
  return wide.test(grapheme) ? 2 : 1;
}

/** Cut in its middle so that beginning and end can still be told, to `columns` at most. */
export function cutMiddle(text: string, columns: number): string {
  if (widthOf(text) <= columns) return text;
  if (columns < 1) return '';
  const parts = Array.from(graphemes.segment(text), ({ segment }) => segment);
  const room = columns - 1;
  const front = taken(parts, Math.ceil(room / 2));
  const back = taken(parts.toReversed(), room - widthOf(front.join('')));
  return `${front.join('')}…${back.toReversed().join('')}`;
}

/** In a column of its own: cut or filled up. */
export function column(text: string, columns: number): string {
  const cut = cutMiddle(text, columns);
  return cut + ' '.repeat(Math.max(0, columns - widthOf(cut)));
}

/** Cut at its end. */
export function cutEnd(text: string, columns: number): string {
  if (widthOf(text) <= columns) return text;
  return columns < 1
    ? ''
    : `${taken(
        Array.from(graphemes.segment(text), ({ segment }) => segment),
        columns - 1,
      ).join('')}…`;
}

function taken(parts: readonly string[], columns: number): string[] {
  const found: string[] = [];
  let width = 0;
  for (const part of parts) {
    width += widthOfOne(part);
    if (width > columns) break;
    found.push(part);
  }
  return found;
}
