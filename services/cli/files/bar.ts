export interface Glyphs {
  readonly full: string;
  /** From the smallest part of a cell on. */
  readonly parts: readonly string[];
  readonly empty: string;
}

const blocks: Glyphs = { full: '█', parts: ['▏', '▎', '▍', '▌', '▋', '▊', '▉'], empty: '░' };
const ascii: Glyphs = { full: '#', parts: [], empty: '.' };

/** Blocks only where the terminal's writing has them. */
export function glyphsFor(env: Readonly<Record<string, string | undefined>>): Glyphs {
  const locale = env.LC_ALL || env.LC_CTYPE || env.LANG || '';
  return /utf-?8/i.test(locale) ? blocks : ascii;
}

/** @param share from 0 to 1 @param columns all of it */
export function formatBar(share: number, columns: number, { full, parts, empty }: Glyphs): string {
  const cells = Math.min(1, Math.max(0, Number.isNaN(share) ? 0 : share)) * columns;
  const whole = Math.floor(cells);
  const part = parts[Math.floor((cells - whole) * (parts.length + 1)) - 1] ?? '';
  return full.repeat(whole) + part + empty.repeat(columns - whole - part.length);
}
