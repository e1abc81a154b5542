import { z } from 'zod';

/** What peers say of their files, and what is wrong with it: all of it is untrusted. */

const nameLimitBytes = 1_024;
export const noNameTwice = 'no name may come twice';

const fileIdPattern = /^[0-9a-f]{64}$/;

export function isFileId(text: string): boolean {
  return fileIdPattern.test(text);
}

export const fileId = z
  .string()
  .regex(fileIdPattern, 'must be 64 lower-case hexadecimal digits')
  .meta({ description: 'The root of the file’s Merkle tree.' });

/** Up to what a number is exact: 9 PB. */
const whole = z.int().min(0);

export const fileName = z
  .string()
  .min(1, 'must not be empty')
  .refine(isName, `must be a path in the share: no NUL, no segment that is empty, "." or "..", ${nameLimitBytes} bytes`)
  .meta({ description: 'Its path in the share, with "/".' });

export const fileSize = whole.meta({ description: 'Bytes.' });

export const counter = whole.meta({
  description: 'From 1, and higher each time; the parts of one list have the same.',
});

export const sharedFile = z.strictObject({
  id: fileId,
  name: fileName,
  size: fileSize,
  modifiedMs: whole.default(0).meta({ description: 'Milliseconds since 1970 on its holder’s machine.' }),
});

export interface SnapshotPart {
  /** From 0. */
  readonly part: number;
  readonly parts: number;
}

/** Newlines and the like are allowed, as file systems do: whoever shows a name has to escape it. */
function isName(name: string): boolean {
  return (
    name.isWellFormed() &&
    !name.includes('\0') &&
    Buffer.byteLength(name) <= nameLimitBytes &&
    name.split('/').every(segment => segment !== '' && segment !== '.' && segment !== '..')
  );
}

/** The last segment of a path. */
export function baseOf(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}

/** A file's extension: lower case, 1 to 16 letters or digits; `''` when there is none such. */
export function typeOf(path: string): string {
  return /[^/]\.([a-z0-9]{1,16})$/.exec(path.toLowerCase())?.[1] ?? '';
}

export const partsLimit = 1_000;
/** In one announcement. */
export const changesLimit = 1_000;

/** Of an announcement's `IndexChanges`. */
export const indexChanges = z
  .strictObject({
    counter: counter.min(1, 'must be at least 1'),
    files: z.array(sharedFile),
    removed: z.array(fileName),
    snapshot: z
      .strictObject({ part: z.int().min(0), parts: z.int().min(1).max(partsLimit) })
      .refine(isPart, 'part must be less than parts')
      .optional(),
  })
  .refine(({ files, removed }) => files.length + removed.length <= changesLimit, `at most ${changesLimit} changes`)
  .refine(({ snapshot, removed }) => snapshot === undefined || removed.length === 0, 'a snapshot removes nothing')
  .refine(({ files, removed }) => areUnique([...files.map(({ name }) => name), ...removed]), noNameTwice);

export function isPart({ part, parts }: SnapshotPart): boolean {
  return part < parts;
}

export function areUnique(names: readonly string[]): boolean {
  return new Set(names).size === names.length;
}
