import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ContentIndex } from '../../services/peer/content-index.ts';
import { copyHeld } from '../../services/peer/copy-held.ts';
import { DownloadFile } from '../../services/peer/download-file.ts';
import { partialDir } from '../../services/peer/final-place.ts';
import { pieceBytes } from '../../services/peer/merkle.ts';
import type { SharePath } from '../../services/peer/share-path.ts';
import { UnfinishedDownloads } from '../../services/peer/unfinished.ts';
import { type SampleContent, sampleContent } from './parts/content.ts';

let dir: string;
let root: string;
let index: ContentIndex;
let unfinished: UnfinishedDownloads;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'warren-download-'));
  root = join(dir, 'share');
  mkdirSync(root);
  index = new ContentIndex(join(dir, 'data'));
  unfinished = new UnfinishedDownloads(index);
});

afterEach(() => {
  index.close();
  rmSync(dir, { recursive: true, force: true });
});

function begin(content: SampleContent, path: string): Promise<DownloadFile> {
  const noted = unfinished.begin({ ...content, path: path as SharePath, now: 1 });
  return DownloadFile.open({ root, index, unfinished }, noted);
}

async function receive(download: DownloadFile, content: SampleContent, pieces: Iterable<number>): Promise<void> {
  for (const piece of pieces) {
    const incoming = download.receive(piece);
    const bytes = content.piece(piece);
    const half = Math.ceil(bytes.length / 2);
    if (bytes.length > 1) expect(incoming.add(0, bytes.subarray(0, half))).toBe('more');
    expect(incoming.add(bytes.length > 1 ? half : 0, bytes.subarray(bytes.length > 1 ? half : 0))).toBe('whole');
    await incoming.save();
  }
}

const all = (download: DownloadFile): number[] => Array.from({ length: download.map.pieces }, (_, at) => at);
const partials = (): string[] => readdirSync(partialDir(root));

describe('a download', () => {
  test.each([0, 1, pieceBytes, 3 * pieceBytes + 1])(
    'of %i bytes ends under its name, in the index, and nowhere else',
    async length => {
      const content = sampleContent(length);
      const download = await begin(content, 'in/a folder/file.bin');
      await receive(download, content, all(download).reverse());
      expect(existsSync(join(root, 'in'))).toBe(false);
      expect(await download.finish()).toBe('in/a folder/file.bin');
      expect(readFileSync(join(root, 'in/a folder/file.bin')).equals(content.bytes)).toBe(true);
      expect(index.findFile('in/a folder/file.bin')).toMatchObject({ id: content.id, length });
      expect(index.changes(10).map(({ path }) => path)).toContain('in/a folder/file.bin');
      expect(partials()).toEqual([]);
      expect(unfinished.list()).toEqual([]);
    },
  );

  test('takes no byte that the manifest does not stand for', async () => {
    const content = sampleContent(2 * pieceBytes);
    const download = await begin(content, 'file');
    const turned = Buffer.from(content.piece(0));
    turned[500_000] = (turned[500_000] ?? 0) ^ 1;
    expect(download.receive(0).add(0, turned)).toBe('wrong');
    expect(download.receive(0).add(0, content.piece(1))).toBe('wrong');
    expect(download.receive(0).add(1, content.piece(0).subarray(1))).toBe('wrong');
    expect(download.receive(0).add(0, Buffer.alloc(pieceBytes + 1))).toBe('wrong');
    expect(download.receive(0).add(0, Buffer.alloc(0))).toBe('wrong');
    const twice = download.receive(0);
    twice.add(0, content.piece(0).subarray(0, 10));
    expect(twice.add(0, content.piece(0).subarray(0, 10))).toBe('wrong');
    expect(download.map.count).toBe(0);
    await expect(download.finish()).rejects.toThrow('not complete');
    await download.drop();
    expect(partials()).toEqual([]);
    expect(unfinished.list()).toEqual([]);
  });

  test('replaces nothing: a name that is taken becomes another one', async () => {
    writeFileSync(join(root, 'file.bin'), 'mine');
    mkdirSync(join(root, 'file (2).bin'));
    const content = sampleContent(10);
    const download = await begin(content, 'file.bin');
    await receive(download, content, [0]);
    expect(await download.finish()).toBe('file (3).bin');
    expect(readFileSync(join(root, 'file.bin'), 'utf8')).toBe('mine');
    expect(readFileSync(join(root, 'file (3).bin')).equals(content.bytes)).toBe(true);
  });

  test('that was killed between its final name and the end of its partial one has one name', async () => {
    const content = sampleContent(10);
    const download = await begin(content, 'file');
    await receive(download, content, [0]);
    linkSync(join(partialDir(root), content.id), join(root, 'file'));
    expect(await download.finish()).toBe('file');
    expect(readdirSync(root).sort()).toEqual(['.warren', 'file']);
    expect(partials()).toEqual([]);
  });

  test('does not go through a link out of the share, nor through a file', async () => {
    mkdirSync(join(dir, 'outside'));
    symlinkSync(join(dir, 'outside'), join(root, 'link'));
    writeFileSync(join(root, 'a file'), '');
    for (const [path, code] of [
      ['link/x', 'PEER_PATH_LINK'],
      ['link/y/x', 'PEER_PATH_LINK'],
      ['a file/x', 'PEER_PATH_TAKEN'],
    ] as const) {
      const content = sampleContent(10, path.length);
      const download = await begin(content, path);
      await receive(download, content, [0]);
      await expect(download.finish()).rejects.toMatchObject({ code });
      await download.drop();
    }
    expect(readdirSync(join(dir, 'outside'))).toEqual([]);
    // A dangling link of the final name is something of that name too.
    symlinkSync(join(dir, 'outside/made'), join(root, 'dangling'));
    const content = sampleContent(10);
    const download = await begin(content, 'dangling');
    await receive(download, content, [0]);
    expect(await download.finish()).toBe('dangling (2)');
    expect(readdirSync(join(dir, 'outside'))).toEqual([]);
  });

  test('goes on from what is really on the disk, not from what was noted', async () => {
    const content = sampleContent(6 * pieceBytes);
    let download = await begin(content, 'file');
    await receive(download, content, [0, 1, 2, 3, 4]);
    await download.close();
    const partial = join(partialDir(root), content.id);
    {
      await using file = await open(partial, 'r+');
      await file.write(Buffer.from('not what was there'), 0, 18, 2 * pieceBytes + 7);
    }
    truncateSync(partial, 4 * pieceBytes + 1000);
    download = await begin(content, 'file');
    expect(all(download).filter(piece => download.map.has(piece))).toEqual([0, 1, 3]);
    await receive(download, content, [2, 4, 5]);
    await download.close();
    rmSync(partial);
    download = await begin(content, 'file');
    expect(download.map.count).toBe(0);
    await receive(download, content, all(download));
    await download.finish();
    expect(readFileSync(join(root, 'file')).equals(content.bytes)).toBe(true);
  });

  test('of what is in the share already is a copy', async () => {
    const content = sampleContent(pieceBytes + 5);
    const download = await begin(content, 'one');
    await receive(download, content, [0, 1]);
    await download.finish();
    expect(await copyHeld({ root, index }, content.id, 'one' as SharePath)).toBe('one');
    expect(await copyHeld({ root, index }, content.id, 'two/copy' as SharePath)).toBe('two/copy');
    writeFileSync(join(root, 'three'), '');
    expect(await copyHeld({ root, index }, content.id, 'three' as SharePath)).toBe('three (2)');
    expect(index.filesOf(content.id).map(({ path }) => path)).toEqual(['one', 'three (2)', 'two/copy']);
    for (const path of ['one', 'two/copy', 'three (2)']) writeFileSync(join(root, path), 'changed');
    expect(await copyHeld({ root, index }, content.id, 'four' as SharePath)).toBeUndefined();
    expect(partials()).toEqual([]);
  });
});

const child = (script: string): string => join(import.meta.dirname, 'parts', script);

test('a download whose process is killed again and again ends as if nothing had been', {
  timeout: 120_000,
}, async () => {
  const files = 4;
  const length = 10 * pieceBytes + 77;
  const data = join(dir, 'data');
  index.close();
  let kills = 0;
  let resumed = 0;
  for (let isDone = false; !isDone; ) {
    const args = ['--root', root, '--data', data, '--files', `${files}`, '--length', `${length}`];
    const running = spawn(process.execPath, [child('download-child.ts'), ...args], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    // Later each time, so that it ends, and at other lines.
    const killAfter = 5 + kills * 4;
    let lines = 0;
    for await (const line of createInterface(running.stdout)) {
      if (line.startsWith('resumed')) resumed = Math.max(resumed, Number(line.split(' ')[1]));
      if (line === 'end') isDone = true;
      // Also while it renames, syncs and writes the index: after "piece" of the last one, or "done".
      if (++lines === killAfter && !isDone) running.kill('SIGKILL');
    }
    if (running.exitCode === null && running.signalCode === null) await once(running, 'exit');
    if (!isDone) expect(running.signalCode).toBe('SIGKILL');
    kills++;
    expect(kills).toBeLessThan(40);
  }
  expect(kills).toBeGreaterThan(3);
  expect(resumed).toBeGreaterThan(0);
  index = new ContentIndex(data);
  expect(readdirSync(join(root, 'got')).sort()).toEqual(['file 1.bin', 'file 2.bin', 'file 3.bin', 'file 4.bin']);
  for (let file = 1; file <= files; file++) {
    const content = sampleContent(length, file);
    expect(readFileSync(join(root, `got/file ${file}.bin`)).equals(content.bytes)).toBe(true);
    expect(index.findFile(`got/file ${file}.bin`)?.id).toBe(content.id);
  }
  expect(partials()).toEqual([]);
});

/** A mount namespace of our own is the superuser's, or needs user namespaces. */
const unshare = [['-m'], ['-rm']].find(flags => {
  try {
    execFileSync('unshare', [...flags, 'true'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
});

test.skipIf(unshare === undefined)(
  'a disk that is full, or read-only, holds a download and breaks nothing',
  async () => {
    const args = [...(unshare ?? []), process.execPath, child('full-disk-child.ts'), dir];
    const seen: unknown = JSON.parse(execFileSync('unshare', args, { encoding: 'utf8' }));
    expect(seen).toEqual({
      noRoomAtFirst: 'PEER_DISK_FULL',
      hasRoom: [false, true],
      fullOnTheWay: 'PEER_DISK_FULL',
      pieceNotCounted: true,
      underFinalName: false,
      keptPieces: expect.toSatisfy((count: number) => count >= 4 && count < 10),
      readOnly: 'PEER_DISK_DENIED',
      finished: 'folder/file.bin',
      indexed: ['folder/file.bin'],
      isEqual: true,
      leftovers: [],
    });
  },
);
