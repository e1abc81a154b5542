import { lstat, mkdir, opendir, realpath, rm, unlink } from 'node:fs/promises';
import { join, sep } from 'node:path';
import { Failure, messageOf } from '../lib/failure.ts';
import { randomHex } from '../lib/random.ts';
import { settled } from '../lib/settled.ts';
import { copyLocally, makeFolders, partialDir, placeFiles } from './final-place.ts';
import { joinPath, type Platform, parseSharePath, type SharePath, splitPath } from './share-path.ts';

/** What the owner has done to the folder that is shared. */

/** Copies a file or folder of this machine into the share. @returns where it is now @throws Failure PEER_FROM, PEER_PATH_…, PEER_DISK… */
export async function copyIntoShare(
  { root, dataDir, platform }: { root: string; dataDir: string; platform: Platform },
  from: string,
  to: string,
): Promise<SharePath> {
  let source: string;
  try {
    source = await realpath(from);
  } catch (error) {
    throw new Failure('PEER_FROM', `cannot read ${from}: ${messageOf(error)}`, { cause: error });
  }
  const path = parseSharePath(to, platform);
  if (isWithin(root, source)) throw new Failure('PEER_FROM', `${from} contains the share itself`);
  if (isWithin(join(root, path), source)) throw new Failure('PEER_FROM', `${path} would be a copy of itself in itself`);
  for (const own of ownFolders) {
    const at = await realpath(join(dataDir, own)).catch(() => join(dataDir, own));
    if (isWithin(at, source) || isWithin(source, at))
      throw new Failure('PEER_FROM', `${from} is, or contains, what this member keeps for itself: ${at}`);
  }
  const stats = await lstat(source);
  if (stats.isDirectory()) {
    await copyFolder({ root, platform }, source, path);
    return path;
  }
  if (!stats.isFile()) throw new Failure('PEER_FROM', `${from} is neither a file nor a folder`);
  return copyFile(root, source, path);
}

/** Of a data directory: with keys and passwords in them. */
const ownFolders = ['member', 'directory', 'broker', 'peer'];

function isWithin(path: string, folder: string): boolean {
  return path === folder || path.startsWith(folder.endsWith(sep) ? folder : `${folder}${sep}`);
}

async function copyFile(root: string, from: string, path: SharePath): Promise<SharePath> {
  const [placed = path] = await copyFiles(root, [{ from, path }]);
  return placed;
}

/** Side by side: each is synced, and the disk does that for many at once. */
async function copyFiles(root: string, files: readonly { from: string; path: SharePath }[]): Promise<SharePath[]> {
  await mkdir(partialDir(root), { recursive: true, mode: 0o700 });
  const copies = files.map(({ from, path }) => ({
    ...{ from, path },
    partial: join(partialDir(root), `${randomHex(16)}.copy`),
  }));
  try {
    await settled(copies.map(({ from, partial }) => copyLocally(from, partial)));
    return await placeFiles(root, copies);
  } finally {
    await Promise.all(copies.map(({ partial }) => rm(partial, { force: true })));
  }
}

const copiedAtOnce = 32;

/** Links are left out: they may lead anywhere. */
async function copyFolder(place: { root: string; platform: Platform }, from: string, path: SharePath): Promise<void> {
  await makeFolders(place.root, joinPath(path, 'x'));
  let files: { from: string; path: SharePath }[] = [];
  for await (const entry of await opendir(from)) {
    const below = parseSharePath(joinPath(path, entry.name), place.platform);
    if (entry.isDirectory()) await copyFolder(place, join(from, entry.name), below);
    else if (entry.isFile()) files.push({ from: join(from, entry.name), path: below });
    if (files.length < copiedAtOnce) continue;
    await copyFiles(place.root, files);
    files = [];
  }
  if (files.length > 0) await copyFiles(place.root, files);
}

/** Deletes a file of the share. @throws Failure PEER_PATH_…, PEER_NOT_HELD */
export async function removeFromShare(root: string, path: SharePath): Promise<void> {
  // Not through a link that leads out of it.
  let at = root;
  for (const name of splitPath(path).folder.split('/').filter(Boolean)) {
    at = join(at, name);
    const stats = await lstat(at).catch(() => undefined);
    if (stats?.isDirectory() !== true) throw new Failure('PEER_NOT_HELD', `there is no ${path} in the share`);
  }
  const full = join(root, path);
  const stats = await lstat(full).catch(() => undefined);
  if (stats === undefined) throw new Failure('PEER_NOT_HELD', `there is no ${path} in the share`);
  if (stats.isDirectory()) await rm(full, { recursive: true });
  else await unlink(full);
}
