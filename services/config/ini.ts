/** One `key = value` line. `line` counts from 1. */
export interface IniEntry {
  readonly section: string;
  readonly key: string;
  readonly value: string;
  readonly line: number;
}

export interface IniFile {
  readonly sections: readonly { readonly name: string; readonly line: number }[];
  readonly entries: readonly IniEntry[];
  /** Lines that are none of it, and what is wrong with them. The text is not repeated: it may be a password. */
  readonly problems: readonly { readonly line: number; readonly message: string }[];
}

/**
 * Reads an ini file strictly, with line numbers: `[section]`, `key = value`, lines that begin with `;` or `#`. A comment
 * may also stand behind a value, after a space. A value in double quotes is a JSON string. Keys may not repeat.
 *
 * Not the `ini` package: that one takes any line without `=` for a switch, cuts values at every `;` and `#`, nests
 * sections at dots, and lets the last of two equal keys win, all without a word.
 */
export function parseIni(text: string): IniFile {
  const sections: { name: string; line: number }[] = [];
  const entries: IniEntry[] = [];
  const problems: { line: number; message: string }[] = [];
  const seen = new Set<string>();
  let section: string | undefined;
  for (const [index, raw] of text
    .replace(/^\uFEFF/, '')
    .split(/\r\n|\n|\r/)
    .entries()) {
    const line = index + 1;
    const trimmed = raw.trim();
    if (trimmed === '' || /^[;#]/.test(trimmed)) continue;
    const header = /^\[([^\]]+)\]\s*(?:[;#].*)?$/.exec(trimmed)?.[1]?.trim();
    if (header !== undefined) {
      section = header;
      sections.push({ name: section, line });
      continue;
    }
    const equals = trimmed.indexOf('=');
    const key = trimmed.slice(0, Math.max(equals, 0)).trim();
    const value = parseValue(trimmed.slice(equals + 1));
    if (key === '' || trimmed.startsWith('[')) problems.push({ line, message: 'is neither [section] nor key = value' });
    else if (section === undefined) problems.push({ line, message: `${key} stands before the first [section]` });
    else if (value === undefined) problems.push({ line, message: `${section}.${key} has a bad quoted value` });
    else if (seen.has(`${section}.${key}`)) problems.push({ line, message: `${section}.${key} is set twice` });
    else entries.push({ section, key, value, line });
    seen.add(`${section}.${key}`);
  }
  return { sections, entries, problems };
}

function parseValue(raw: string): string | undefined {
  const text = raw.trim();
  const quoted = /^("(?:[^"\\]|\\.)*")\s*(?:[;#].*)?$/.exec(text)?.[1];
  if (quoted === undefined) return text.startsWith('"') ? undefined : text.replace(/(^|\s+)[;#].*$/, '');
  try {
    return String(JSON.parse(quoted));
  } catch {
    return undefined;
  }
}

/** A value as `parseIni` reads it back, in quotes where it needs them. */
export function formatIniValue(value: string): string {
  const plain = !/^"|^[;#]|\s[;#]|\p{Cc}/u.test(value) && value === value.trim();
  return plain ? value : JSON.stringify(value);
}
