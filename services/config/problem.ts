import { Failure, messageOf } from '../lib/failure.ts';
import { maskPasswords } from './address.ts';
import type { Source } from './config.ts';
import type { InvalidValue } from './schema.ts';
import { isSettingKey, type SettingKey } from './settings.ts';

const LONGEST_VALUE = 80;

/** What the user has to look at: the file's line and key, the variable, or the flag. */
export function placeOf(key: SettingKey, source: Source | undefined): string {
  switch (source?.kind) {
    case 'file':
      return `${source.file}:${source.line}: ${source.key}`;
    case 'env':
    case 'flag':
      return source.name;
    default:
      return key;
  }
}

/** A bad value as a line for the user. */
export function describeInvalid(invalid: InvalidValue, sources: ReadonlyMap<SettingKey, Source>): string {
  const { key, message, value } = invalid;
  const place = isSettingKey(key) ? placeOf(key, sources.get(key)) : key;
  return `${place} ${message}${value === undefined || value.length > LONGEST_VALUE ? '' : `, not ${value}`}`;
}

/** Of a system error: `ENOENT`. */
export function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : '';
}

const unreadable: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file',
  EACCES: 'no permission',
  EISDIR: 'it is a folder',
};

/** Why a file could not be read; reads on from its name. */
export function describeUnreadable(error: unknown): string {
  return `cannot be read: ${unreadable[codeOf(error)] ?? messageOf(error)}`;
}

/** @throws Failure CONFIG with the first problem, passwords masked, and how many more there are. */
export function failOnAny(problems: readonly string[]): void {
  const [first] = problems;
  if (first === undefined) return;
  const more = problems.length === 1 ? '' : ` (and ${problems.length - 1} more)`;
  throw new Failure('CONFIG', maskPasswords(first.replaceAll(/\s*[\r\n]+\s*/g, ' ')) + more);
}
