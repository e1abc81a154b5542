import { lstatSync, opendirSync } from 'node:fs';
import { join } from 'node:path';
import { stampOf } from './file-stamp.ts';
import type { HashResult, HashSettings } from './hash-message.ts';
import { joinPath, refusalOfPath } from './share-path.ts';

/** A file to be hashed, as it looked. */
export interface Candidate {
  readonly path: string;
  readonly stamp: string;
  readonly modifiedMs: number;
}

export interface FolderScan {
  readonly folders: string[];
  readonly candidates: Candidate[];
  readonly results: HashResult[];
}

/**
 * What is directly in a folder of the share, beside what is known of it: only looked at, not read. Symbolic links are not followed, so
 * nothing outside is ever shared through one.
 * @param known stamps by name
 * @throws Error of the file system when the folder cannot be read
 */
export function scanFolder(settings: HashSettings, folder: string, known: Map<string, string>): FolderScan {
  const { root, exclude, platform } = settings;
  const at = join(root, folder);
  const scan: FolderScan = { folders: [], candidates: [], results: [] };
  using entries = opendirSync(at, { bufferSize: 512 });
  for (let entry = entries.readSync(); entry !== null; entry = entries.readSync()) {
    const path = joinPath(folder, entry.name);
    if (exclude.includes(join(at, entry.name))) continue;
    const refusal = refusalOfPath(path, platform);
    if (refusal === 'OWN') continue;
    const isFile = entry.isFile();
    if (refusal === undefined && entry.isDirectory()) {
      scan.folders.push(path);
      continue;
    }
    // Sockets, pipes and devices are nothing that anybody expects to be shared.
    if (!isFile && !entry.isDirectory() && !entry.isSymbolicLink()) continue;
    const before = known.get(entry.name);
    known.delete(entry.name);
    const reason = refusal ?? (isFile ? undefined : 'LINK');
    if (reason !== undefined) {
      if (before !== reason) scan.results.push({ type: 'refused', path, reason, stamp: reason, modifiedMs: 0 });
      continue;
    }
    const candidate = lookAt(root, path);
    if (candidate === undefined) scan.results.push({ type: 'gone', path });
    else if (candidate.stamp !== before) scan.candidates.push(candidate);
  }
  for (const name of known.keys()) scan.results.push({ type: 'gone', path: joinPath(folder, name) });
  return scan;
}

/** undefined: it is no file (any more). */
export function lookAt(root: string, path: string): Candidate | undefined {
  const stats = lstatSync(join(root, path), { bigint: true, throwIfNoEntry: false });
  if (stats === undefined || !stats.isFile()) return undefined;
  return { path, stamp: stampOf(stats), modifiedMs: Number(stats.mtimeMs) };
}
