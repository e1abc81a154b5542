import { hash } from 'node:crypto';
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { stampOf } from './file-stamp.ts';
import { hashBytes, mostFileBytes, pieceBytes, pieceCount } from './merkle.ts';
import type { Candidate } from './scan-folder.ts';

/** A piece behind the prefix of a leaf, so that it is hashed in one go. */
const buffer = Buffer.alloc(1 + pieceBytes);

export type HashedFile =
  | { readonly type: 'hashed'; readonly length: number; readonly leaves: Uint8Array }
  /** It is not (any more) what the candidate was. */
  | { readonly type: 'changed' }
  | { readonly type: 'refused'; readonly reason: string };

/**
 * The leaves of a file, if it is the same before and after. Reads and hashes in this thread, and lets it turn now and then.
 * @param start leaves known from an earlier try, of the same stamp
 * @param onProgress called with the leaves so far, every 512 MiB
 */
export async function hashFile(
  root: string,
  { path, stamp }: Candidate,
  start: Uint8Array,
  onProgress: (leaves: Uint8Array) => void,
): Promise<HashedFile> {
  let file: number;
  try {
    file = openSync(join(root, path), constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0));
  } catch (error) {
    const { code = 'IO_ERROR' } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ELOOP' || code === 'ENOTDIR') return { type: 'changed' };
    return { type: 'refused', reason: code === 'EACCES' || code === 'EPERM' ? 'PERMISSION_DENIED' : code };
  }
  try {
    const before = fstatSync(file, { bigint: true });
    if (stampOf(before) !== stamp) return { type: 'changed' };
    const length = Number(before.size);
    if (length > mostFileBytes) return { type: 'refused', reason: 'TOO_LARGE' };
    const pieces = pieceCount(length);
    const leaves = new Uint8Array(pieces * hashBytes);
    leaves.set(start.subarray(0, leaves.length));
    const done = Math.min(pieces, Math.floor(start.length / hashBytes));
    for (let piece = done; piece < pieces; piece++) {
      const wanted = Math.min(pieceBytes, length - piece * pieceBytes);
      let read = 0;
      while (read < wanted) {
        const count = readSync(file, buffer, 1 + read, wanted - read, piece * pieceBytes + read);
        if (count === 0) return { type: 'changed' };
        read += count;
      }
      leaves.set(hash('sha256', buffer.subarray(0, 1 + wanted), 'buffer'), piece * hashBytes);
      if (piece % 16 === 15) await turn();
      if ((piece - done) % 512 === 511) onProgress(leaves.slice(0, (piece + 1) * hashBytes));
    }
    if (stampOf(fstatSync(file, { bigint: true })) !== stamp) return { type: 'changed' };
    return { type: 'hashed', length, leaves };
  } catch (error) {
    return { type: 'refused', reason: (error as NodeJS.ErrnoException).code ?? 'IO_ERROR' };
  } finally {
    closeSync(file);
  }
}
