import { constants, type Stats } from 'node:fs';
import { copyFile, link, lstat, mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { Failure } from '../lib/failure.ts';
import { diskFailure } from './disk-failure.ts';
import { freeName, joinPath, ownFolder, type SharePath, splitPath } from './share-path.ts';

/** Partial downloads of a share: in it, so that they are on the file system of their final place. Never shared (share-path.ts). */
export function partialDir(root: string): string {
  return join(root, ownFolder, 'partial');
}

/**
 * Makes the folders of a path in a share. Each must be one itself: a symbolic link may lead out of the share.
 * @throws Failure PEER_PATH_LINK, PEER_PATH_TAKEN (there is a file of that name), PEER_DISK…
 */
export async function makeFolders(root: string, path: string): Promise<void> {
  let at = root;
  for (const name of splitPath(path).folder.split('/')) {
    if (name === '') continue;
    at = join(at, name);
    try {
      await mkdir(at);
      await syncFolder(dirname(at));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw diskFailure(error, at);
      checkFolder(at, await lstat(at).catch(error => Promise.reject(diskFailure(error, at))));
    }
  }
}

/** Whether `makeFolders` could: before anything is pulled for that path. @throws Failure PEER_PATH_LINK, PEER_PATH_TAKEN */
export async function checkFolders(root: string, path: string): Promise<void> {
  let at = root;
  for (const name of splitPath(path).folder.split('/')) {
    at = join(at, name);
    const stats = await lstat(at).catch(() => undefined);
    if (stats === undefined) return;
    if (name !== '') checkFolder(at, stats);
  }
}

function checkFolder(at: string, stats: Stats): void {
  if (stats.isSymbolicLink())
    throw new Failure('PEER_PATH_LINK', `${at} is a symbolic link: nothing is written through it`);
  if (!stats.isDirectory()) throw new Failure('PEER_PATH_TAKEN', `${at} is a file: no folder can be made there`);
}

/** A finished, synced file that is to have a name in the share. */
interface Finished {
  /** Its name until then, which stays, for the caller to remove. */
  readonly partial: string;
  readonly path: SharePath;
  /** All of it, of a small one: a file of that name with the same bytes is it then, from before a crash. */
  readonly bytes?: Uint8Array;
}

/**
 * Gives a finished, synced file its name in the share, whole or not at all, over nothing that is there: a name that is taken becomes
 * `name (2).ext`. @returns the path it got
 * @throws Failure as `makeFolders`; PEER_PATH_TAKEN when a thousand names are taken
 */
export async function placeFile(root: string, partial: string, path: SharePath): Promise<SharePath> {
  const [placed = path] = await placeFiles(root, [{ partial, path }]);
  return placed;
}

/** The same for many at once: each folder is made, and synced, once. @throws as `placeFile`; some may have their names then */
export async function placeFiles(root: string, files: readonly Finished[]): Promise<SharePath[]> {
  const folders = new Set(files.map(({ path }) => splitPath(path).folder));
  for (const folder of folders) await makeFolders(root, joinPath(folder, 'x'));
  const paths: SharePath[] = [];
  // One after the other: two of them may be to have the same name.
  for (const file of files) paths.push(await nameFile(root, file));
  for (const folder of folders) {
    const at = join(root, folder);
    await syncFolder(at).catch(error => Promise.reject(diskFailure(error, at)));
  }
  return paths;
}

async function nameFile(root: string, { partial, path, bytes }: Finished): Promise<SharePath> {
  const { folder, name } = splitPath(path);
  for (let attempt = 1; attempt <= 1_000; attempt++) {
    const placed = joinPath(folder, freeName(name, attempt)) as SharePath;
    const to = join(root, placed);
    try {
      if (await moveToNew(partial, to).catch(error => copyToNew(error, partial, to))) return placed;
      if (bytes !== undefined && (await hasBytes(to, bytes))) return placed;
    } catch (error) {
      throw diskFailure(error, to);
    }
  }
  throw new Failure('PEER_PATH_TAKEN', `there are a thousand files called ${name} already`);
}

async function hasBytes(path: string, bytes: Uint8Array): Promise<boolean> {
  const stats = await lstat(path);
  return stats.isFile() && stats.size === bytes.length && (await readFile(path)).equals(bytes);
}

/** @returns false when there is something else of that name. The old name may still be there then */
async function moveToNew(from: string, to: string): Promise<boolean> {
  try {
    // Unlike a rename, a link never replaces.
    await link(from, to);
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST') return isSame(from, to);
    // File systems without hard links (exFAT, some shares): the moment between look and rename is left.
    if (code !== 'EPERM' && code !== 'ENOTSUP' && code !== 'ENOSYS' && code !== 'EOPNOTSUPP') throw error;
    if ((await lstat(to).catch(() => undefined)) !== undefined) return false;
    await rename(from, to);
    return true;
  }
}

/** A folder of the share is another file system: the file goes there first, as a whole, under a name that is not shared. */
async function copyToNew(error: NodeJS.ErrnoException, from: string, to: string): Promise<boolean> {
  if (error.code !== 'EXDEV') throw error;
  const beside = join(dirname(to), ownFolder, basename(from));
  try {
    await mkdir(dirname(beside), { recursive: true, mode: 0o700 });
    await copyLocally(from, beside);
    return await moveToNew(beside, to);
  } finally {
    await rm(beside, { force: true }).catch(() => {});
  }
}

/** We were here before, and were killed. */
async function isSame(one: string, other: string): Promise<boolean> {
  const [first, second] = await Promise.all([one, other].map(path => lstat(path, { bigint: true })));
  return first !== undefined && first.ino === second?.ino && first.dev === second.dev;
}

/** A copy that shares its blocks with the original where the file system can, and is on disk when this returns. */
export async function copyLocally(from: string, to: string): Promise<void> {
  try {
    await rm(to, { force: true });
    await copyFile(from, to, constants.COPYFILE_FICLONE);
    await using file = await open(to, 'r+');
    await file.sync();
  } catch (error) {
    throw diskFailure(error, to);
  }
}

/** So that a name is still there after a power cut. Windows keeps it by itself, and cannot open folders. */
async function syncFolder(path: string): Promise<void> {
  if (process.platform === 'win32') return;
  await using folder = await open(path, 'r');
  await folder.sync();
}
