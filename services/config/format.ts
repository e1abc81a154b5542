/**
 * How one kind of value is written. Settings arrive as text from everywhere (file, environment, flag), so one `parse`
 * serves all three; `parse(format(value))` gives the value again.
 */
export interface Format<T> {
  /** Throws an `Error` whose message reads on from the setting's name: "must be …". */
  parse(text: string): T;
  format(value: T): string;
}

/** A whole number of `min` to `max`, both included. */
export function integer(min: number, max: number): Format<number> {
  return {
    parse(text) {
      const value = /^-?\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
      if (!(value >= min && value <= max)) throw new Error(`must be a whole number from ${min} to ${max}`);
      return value;
    },
    format: String,
  };
}

/** A TCP or UDP port; 0 is any free one. */
export const port = integer(0, 65_535);

/** One of a few words. */
export function choice<const T extends string>(...words: readonly T[]): Format<T> {
  return {
    parse(text) {
      const found = words.find(word => word === text);
      if (found === undefined) throw new Error(`must be ${words.slice(0, -1).join(', ')} or ${words.at(-1)}`);
      return found;
    },
    format: String,
  };
}

const switches = new Map([
  ...['true', 'yes', 'on', '1'].map(word => [word, true] as const),
  ...['false', 'no', 'off', '0'].map(word => [word, false] as const),
]);

/** On or off, in the words that ini files use. */
export const flag: Format<boolean> = {
  parse(text) {
    const value = switches.get(text.toLowerCase());
    if (value === undefined) throw new Error('must be true or false');
    return value;
  },
  format: String,
};

/** Text of at least one character, none of them a control character. */
export const text: Format<string> = {
  parse(raw) {
    if (raw === '') throw new Error('must not be empty');
    if (/\p{Cc}/u.test(raw)) throw new Error('must not hold control characters');
    return raw;
  },
  format: String,
};

/** The same, or nothing: `''` is `undefined`. */
export function optional<T>(inner: Format<T>): Format<T | undefined> {
  return {
    parse: raw => (raw === '' ? undefined : inner.parse(raw)),
    format: value => (value === undefined ? '' : inner.format(value)),
  };
}

/** Comma separated; spaces around an item and empty items do not count. A bad item is named by its place. */
export function list<T>(item: Format<T>): Format<readonly T[]> {
  return {
    parse(raw) {
      const parts = raw
        .split(',')
        .map(part => part.trim())
        .filter(part => part !== '');
      return parts.map((part, index) => {
        try {
          return item.parse(part);
        } catch (error) {
          if (parts.length === 1 || !(error instanceof Error)) throw error;
          throw new Error(`${error.message} (item ${index + 1} of ${parts.length})`);
        }
      });
    },
    format: values => values.map(value => item.format(value)).join(','),
  };
}
