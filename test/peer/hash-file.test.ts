import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { ContentIndex } from '../../services/peer/content-index.ts';
import { hashFile } from '../../services/peer/hash-file.ts';
import { hashBytes, leafOf, pieceBytes } from '../../services/peer/merkle.ts';
import { lookAt } from '../../services/peer/scan-folder.ts';
import { sha256 } from '../../services/peer/sha256.ts';
import { until } from '../support/until.ts';
import { sampleContent } from './parts/content.ts';

let dir: string;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'warren-hash-'));
});

afterEach(() => rmSync(dir, { recursive: true, force: true }));

function candidate(path: string) {
  const seen = lookAt(dir, path);
  if (seen === undefined) throw new Error(`${path} is not there`);
  return seen;
}
const nothing = new Uint8Array();

test('a file is hashed piece by piece, on from the leaves that are known', async () => {
  const content = sampleContent(2 * pieceBytes + 5);
  writeFileSync(join(dir, 'file'), content.bytes);
  expect(await hashFile(dir, candidate('file'), nothing, () => {})).toEqual({
    type: 'hashed',
    length: content.bytes.length,
    leaves: content.leaves,
  });
  // It does not read what it need not: leaves that are given are taken as they are.
  const given = new Uint8Array(hashBytes).fill(7);
  const again = await hashFile(dir, candidate('file'), given, () => {});
  expect(again).toMatchObject({ leaves: new Uint8Array([...given, ...content.leaves.subarray(hashBytes)]) });
});

test('a file that changed since it was looked at, or while it is hashed, is not taken', {
  timeout: 60_000,
}, async () => {
  const file = join(dir, 'file');
  writeFileSync(file, 'x');
  const before = candidate('file');
  appendFileSync(file, 'y');
  expect(await hashFile(dir, before, nothing, () => {})).toEqual({ type: 'changed' });
  // Sparse: 600 MiB are there at once, and progress is told on the way.
  truncateSync(file, 600 * pieceBytes);
  const tells: number[] = [];
  const hashed = await hashFile(dir, candidate('file'), nothing, leaves => {
    tells.push(leaves.length / hashBytes);
    appendFileSync(file, 'z');
  });
  expect(hashed).toEqual({ type: 'changed' });
  expect(tells).toEqual([512]);
});

test('a link or a folder in the place of a file is not followed', async () => {
  writeFileSync(join(dir, 'file'), 'x');
  const before = candidate('file');
  rmSync(join(dir, 'file'));
  expect(await hashFile(dir, before, nothing, () => {})).toEqual({ type: 'changed' });
  symlinkSync('/etc/passwd', join(dir, 'file'));
  expect(await hashFile(dir, before, nothing, () => {})).toEqual({ type: 'changed' });
  expect(lookAt(dir, 'file')).toBeUndefined();
});

test('hashing that is killed goes on where it was', { timeout: 120_000 }, async () => {
  const root = join(dir, 'share');
  const data = join(dir, 'data');
  mkdirSync(root);
  writeFileSync(join(root, 'large'), '');
  truncateSync(join(root, 'large'), 1_100 * pieceBytes);
  for (let file = 0; file < 20; file++) writeFileSync(join(root, `small ${file}`), `${file}`);
  const start = () =>
    spawn(process.execPath, [join(import.meta.dirname, 'parts/share-child.ts'), root, data], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });

  const first = start();
  let index: ContentIndex | undefined;
  const known = await until(
    () => {
      try {
        index ??= new ContentIndex(data, { readOnly: true });
        return index.hashedSoFar('large', candidateIn(root, 'large')).length / hashBytes;
      } catch {
        // Not made yet.
        return 0;
      }
    },
    pieces => pieces > 0,
    60_000,
  );
  first.kill('SIGKILL');
  await once(first, 'exit');
  expect(first.signalCode).toBe('SIGKILL');
  expect(known % 512).toBe(0);
  index?.close();

  // What is known is not read again: a mark in it is still there in the end.
  using marking = new ContentIndex(data);
  const stamp = candidateIn(root, 'large');
  const leaves = marking.hashedSoFar('large', stamp).slice();
  leaves.set(new Uint8Array(hashBytes).fill(9));
  marking.saveHashing('large', stamp, leaves);
  const second = start();
  const [text] = (await once(second.stdout, 'data')) as [Buffer];
  expect(JSON.parse(text.toString())).toMatchObject({ files: 21, bytes: expect.any(Number) });
  const content = marking.findFile('large');
  if (content === undefined) throw new Error('the file is not indexed');
  const found = marking.manifests.find(content.id);
  const part = marking.manifests.leaves(found?.content ?? 0, 0);
  expect(part.length).toBe(1_100 * hashBytes);
  expect(part[0]).toBe(9);
  expect(Buffer.from(part.subarray(-hashBytes)).equals(leafOf(sha256, Buffer.alloc(pieceBytes)))).toBe(true);
  expect(marking.hashedSoFar('large', stamp)).toHaveLength(0);
});

function candidateIn(root: string, path: string): string {
  return lookAt(root, path)?.stamp ?? '';
}
