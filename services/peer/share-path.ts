import { Failure } from '../lib/failure.ts';

/**
 * A path in a share: names separated by `/`, relative to the share's root. Names are taken as their owner wrote them: no Unicode form is
 * imposed (two that differ only in it are two files), and what a name cannot be in a share is refused, with a reason, never altered.
 */
export type SharePath = string & { readonly sharePath: true };

/**
 * EMPTY no name, or an empty one (`a//b`); ABSOLUTE; DOTS `.` or `..`; SEPARATOR a backslash, which is one elsewhere; CONTROL control
 * characters (newlines, NUL…) and those that turn the writing's direction, by which a name reads as another one; NOT_UNICODE; TOO_LONG
 * more than 255 bytes a name or 4,096 a path; TOO_DEEP; OWN Warren's own folders; and on Windows alone: CHARACTER, ENDING a blank or
 * dot at the end, DEVICE (`CON`, `nul.txt`).
 */
export type PathRefusal =
  | 'EMPTY'
  | 'ABSOLUTE'
  | 'DOTS'
  | 'SEPARATOR'
  | 'CONTROL'
  | 'NOT_UNICODE'
  | 'TOO_LONG'
  | 'TOO_DEEP'
  | 'OWN'
  | 'CHARACTER'
  | 'ENDING'
  | 'DEVICE';

/** Where the path is to be. */
export type Platform = 'posix' | 'windows';

/** Holds partial downloads and, by default, the data of a member: never shared, never written to by what others name. */
export const ownFolder = '.warren';

const mostNameBytes = 255;
const mostPathBytes = 4096;
const mostNames = 64;

// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const control = /[\u0000-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069\u2028\u2029]/;
const device = /^(?:con|prn|aux|nul|conin\$|conout\$|(?:com|lpt)[0-9\u00b9\u00b2\u00b3])\s*(?:\.|$)/i;

export function refusalOfName(name: string, platform: Platform): PathRefusal | undefined {
  if (name === '') return 'EMPTY';
  if (name === '.' || name === '..') return 'DOTS';
  // What is read from a disk in another encoding has the replacement character where it could not be read.
  if (!name.isWellFormed() || name.includes('\ufffd')) return 'NOT_UNICODE';
  if (control.test(name)) return 'CONTROL';
  if (name.includes('/') || name.includes('\\')) return 'SEPARATOR';
  if (byteLength(name) > mostNameBytes) return 'TOO_LONG';
  // Some file systems take any case for the same, and drop characters that cannot be seen.
  if (name.replaceAll(/[\u200b-\u200f\u2060\ufeff]/g, '').toLowerCase() === ownFolder) return 'OWN';
  if (platform === 'posix') return undefined;
  if (/[<>:"|?*]/.test(name)) return 'CHARACTER';
  if (/[. ]$/.test(name)) return name.replaceAll(/[. ]+$/g, '').toLowerCase() === ownFolder ? 'OWN' : 'ENDING';
  return device.test(name) ? 'DEVICE' : undefined;
}

export function refusalOfPath(path: string, platform: Platform): PathRefusal | undefined {
  if (path === '') return 'EMPTY';
  if (path.startsWith('/')) return 'ABSOLUTE';
  if (path.length > mostPathBytes || byteLength(path) > mostPathBytes) return 'TOO_LONG';
  const names = path.split('/');
  if (names.length > mostNames) return 'TOO_DEEP';
  for (const name of names) {
    const refusal = refusalOfName(name, platform);
    if (refusal !== undefined) return refusal;
  }
  return undefined;
}

/** @throws Failure PEER_PATH_… with the reason */
export function parseSharePath(path: string, platform: Platform): SharePath {
  const refusal = refusalOfPath(path, platform);
  if (refusal !== undefined)
    throw new Failure(
      `PEER_PATH_${refusal}`,
      `${JSON.stringify(path.slice(0, 300))} cannot be in a share (${refusal})`,
    );
  return path as SharePath;
}

/** The folder of a path (empty: the share itself) and its last name. */
export function splitPath(path: string): { folder: string; name: string } {
  const at = path.lastIndexOf('/');
  return { folder: path.slice(0, Math.max(0, at)), name: path.slice(at + 1) };
}

export function joinPath(folder: string, name: string): string {
  return folder === '' ? name : `${folder}/${name}`;
}

/**
 * The name that is tried as number `attempt` when those before are taken: `a.txt`, `a (2).txt`, `a (3).txt`; cut so that it is not too long.
 */
export function freeName(name: string, attempt: number): string {
  if (attempt <= 1) return name;
  const dot = name.lastIndexOf('.');
  const end = dot > 0 && name.length - dot <= 16 ? name.slice(dot) : '';
  const mark = ` (${attempt})${end}`;
  const stem = [...name.slice(0, name.length - end.length)];
  while (stem.length > 0 && byteLength(stem.join('') + mark) > mostNameBytes) stem.pop();
  return stem.join('') + mark;
}

const encoder = new TextEncoder();

function byteLength(text: string): number {
  return encoder.encode(text).length;
}
