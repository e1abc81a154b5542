import { mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { parseSharePath, type SharePath } from '../../services/peer/share-path.ts';
import { copyIntoShare, removeFromShare } from '../../services/peer/share-tree.ts';

let dir: string;
let root: string;
let dataDir: string;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'warren-tree-'));
  root = join(dir, 'home', 'share');
  dataDir = join(dir, 'home', 'data');
  mkdirSync(join(root, 'folder'), { recursive: true });
  mkdirSync(join(dataDir, 'member'), { recursive: true });
  writeFileSync(join(dataDir, 'member', 'key.pem'), 'secret');
  writeFileSync(join(root, 'folder', 'a.txt'), 'a');
});

afterEach(() => {
  rmSync(dir, { recursive: true, force: true });
});

const copy = (from: string, to: string) => copyIntoShare({ root, dataDir, platform: 'posix' }, from, to);

test('what contains the share, the whole disk above all, is not copied into it', async () => {
  await expect(copy(join(dir, 'home'), 'home')).rejects.toMatchObject({ code: 'PEER_FROM' });
  // That would find its own copies for ever. Where it is tried all the same, that name ends it: it is a file's.
  await expect(copy('/', 'folder/a.txt')).rejects.toMatchObject({
    code: 'PEER_FROM',
    message: '/ contains the share itself',
  });
  await expect(copy(join(root, 'folder'), 'folder/folder')).rejects.toMatchObject({ code: 'PEER_FROM' });
  await expect(copy(join(root, 'folder'), 'folder')).rejects.toMatchObject({ code: 'PEER_FROM' });
  expect(readdirSync(join(root, 'folder'))).toEqual(['a.txt']);
  expect(await copy(join(root, 'folder'), 'other')).toBe('other');
  expect(readdirSync(join(root, 'other'))).toEqual(['a.txt']);
});

test('what the member keeps for itself, its key above all, is not copied into the share', async () => {
  symlinkSync(dataDir, join(dir, 'link'));
  for (const from of [dataDir, join(dataDir, 'member', 'key.pem'), join(dir, 'link', 'member')])
    await expect(copy(from, 'x')).rejects.toMatchObject({ code: 'PEER_FROM' });
  const elsewhere = join(dir, 'elsewhere');
  mkdirSync(elsewhere);
  await expect(
    copyIntoShare({ root: elsewhere, dataDir, platform: 'posix' }, join(dir, 'home'), 'home'),
  ).rejects.toMatchObject({ code: 'PEER_FROM' });
  expect(readdirSync(elsewhere)).toEqual([]);
  // A share in the data directory, as it is unless set otherwise.
  const usual = join(dataDir, 'share');
  mkdirSync(usual);
  writeFileSync(join(usual, 'b.txt'), 'b');
  expect(await copyIntoShare({ root: usual, dataDir, platform: 'posix' }, join(usual, 'b.txt'), 'c.txt')).toBe('c.txt');
});

test('nothing outside of the share is removed, whatever links lead there', async () => {
  writeFileSync(join(dir, 'mine.txt'), 'mine');
  symlinkSync(dir, join(root, 'out'));
  await expect(removeFromShare(root, 'out/mine.txt' as SharePath)).rejects.toMatchObject({ code: 'PEER_NOT_HELD' });
  await removeFromShare(root, 'out' as SharePath);
  expect(readdirSync(dir)).toEqual(['home', 'mine.txt']);
  for (const path of ['', '.', '..', 'folder/..', '/', '.warren', 'folder/', './folder'])
    expect(() => parseSharePath(path, 'posix')).toThrow();
});
