import {
  appendFileSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ContentIndex } from '../../services/peer/content-index.ts';
import { DownloadFile } from '../../services/peer/download-file.ts';
import { stampOf } from '../../services/peer/file-stamp.ts';
import { updateFolderIds } from '../../services/peer/folder-ids.ts';
import { decodeListing } from '../../services/peer/listing.ts';
import { type ContentId, pieceBytes } from '../../services/peer/merkle.ts';
import { pieceFrames } from '../../services/peer/piece-frame.ts';
import type { PieceRun } from '../../services/peer/piece-map.ts';
import {
  createPieceMemory,
  framesOf,
  openHeldFile,
  type PieceSource,
  sourceOfBytes,
  sourceOfDownload,
} from '../../services/peer/piece-source.ts';
import type { SharePath } from '../../services/peer/share-path.ts';
import { UnfinishedDownloads } from '../../services/peer/unfinished.ts';
import { seededRandom } from '../support/seeded.ts';
import { type SampleContent, sampleContent } from './parts/content.ts';

let dir: string;
let root: string;
let index: ContentIndex;
let changed: string[];
const content = sampleContent(3 * pieceBytes + 100);

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'warren-source-'));
  root = join(dir, 'share');
  mkdirSync(root);
  index = new ContentIndex(join(dir, 'data'));
  changed = [];
});

afterEach(() => {
  index.close();
  rmSync(dir, { recursive: true, force: true });
});

async function hold(path: string, { bytes, leaves }: SampleContent = content): Promise<void> {
  mkdirSync(join(root, path, '..'), { recursive: true });
  writeFileSync(join(root, path), bytes);
  const stats = await stat(join(root, path), { bigint: true });
  index.transaction(() =>
    index.setFile(path, { length: bytes.length, stamp: stampOf(stats), modifiedMs: Number(stats.mtimeMs), leaves }),
  );
}

const open = (id: ContentId = content.id): Promise<PieceSource> =>
  openHeldFile({ root, index, onChanged: path => changed.push(path) }, id);

/** Joins what was sent, and says how large the frames were. */
async function collect(
  source: PieceSource,
  runs: PieceRun[],
  frameBytes = 65_536,
): Promise<{ bytes: Buffer; most: number }> {
  const all: Uint8Array[] = [];
  let expected = { piece: runs[0]?.first ?? 0, offset: 0 };
  for await (const { piece, offset, data } of framesOf(source, runs, () => frameBytes)) {
    if (offset === 0) expected = { piece, offset };
    expect({ piece, offset }).toEqual(expected);
    expected.offset += data.length;
    all.push(data);
  }
  return { bytes: Buffer.concat(all), most: Math.max(0, ...all.map(({ length }) => length)) };
}

const changedFailure = expect.objectContaining({ code: 'PEER_FILE_CHANGED' });
const notHeld = expect.objectContaining({ code: 'PEER_NOT_HELD' });

describe('a held file', () => {
  test('is sent in runs of pieces, in frames', async () => {
    await hold('file');
    const source = await open();
    const { bytes, most } = await collect(source, [
      { first: 2, count: 2 },
      { first: 0, count: 1 },
    ]);
    expect(bytes.equals(Buffer.concat([content.bytes.subarray(2 * pieceBytes), content.piece(0)]))).toBe(true);
    expect(most).toBe(65_536);
    await source.close();
  });

  test.each([
    ['appended to', (at: string) => appendFileSync(at, 'x')],
    ['written anew', (at: string) => writeFileSync(at, content.bytes)],
    ['touched', (at: string) => utimesSync(at, 1, 1)],
  ])('that is %s meanwhile is not sent on, and reported', async (_, change) => {
    await hold('file');
    const source = await open();
    await source.read(0, [Buffer.alloc(pieceBytes)]);
    change(join(root, 'file'));
    await expect(source.read(1, [Buffer.alloc(pieceBytes)])).rejects.toEqual(changedFailure);
    expect(changed).toEqual(['file']);
    await source.close();
    await expect(open()).rejects.toEqual(notHeld);
  });

  test('that is replaced by a link out of the share is not sent', async () => {
    await hold('folder/file');
    renameSync(join(root, 'folder'), join(dir, 'outside'));
    mkdirSync(join(dir, 'other'));
    writeFileSync(join(dir, 'other/file'), content.bytes);
    symlinkSync(join(dir, 'other'), join(root, 'folder'));
    await expect(open()).rejects.toEqual(notHeld);
    rmSync(join(root, 'folder'));
    mkdirSync(join(root, 'folder'));
    symlinkSync(join(dir, 'outside/file'), join(root, 'folder/file'));
    await expect(open()).rejects.toEqual(notHeld);
    expect(changed).toEqual(['folder/file', 'folder/file']);
  });

  test('is sent from another of its paths when one has changed', async () => {
    await hold('a');
    await hold('b');
    writeFileSync(join(root, 'a'), 'changed');
    const source = await open();
    const piece = Buffer.alloc(content.piece(3).length);
    await source.read(3, [piece.subarray(0, 7), piece.subarray(7)]);
    expect(piece.equals(content.piece(3))).toBe(true);
    expect(changed).toEqual(['a']);
    await source.close();
  });

  test('has no more pieces than it has, and is not asked for too much at once', async () => {
    await hold('file');
    const source = await open();
    for (const runs of [
      [{ first: 4, count: 1 }],
      [{ first: -1, count: 1 }],
      [{ first: 0.5, count: 1 }],
      [{ first: 0, count: 4_000_000_000 }],
      [{ first: 0, count: Number.NaN }],
      Array.from({ length: 65 }, () => ({ first: 0, count: 1 })),
    ])
      await expect(collect(source, runs)).rejects.toEqual(notHeld);
    await source.close();
    await expect(open('0'.repeat(64) as ContentId)).rejects.toEqual(notHeld);
  });
});

test('a folder is sent as its listing', async () => {
  await hold('folder/file');
  await updateFolderIds(index, new AbortController().signal);
  const id = index.factsOf('folder')?.id;
  if (id === undefined) throw new Error('the folder has no id');
  const source = await open(id);
  const { bytes } = await collect(source, [{ first: 0, count: 1 }]);
  expect(decodeListing(bytes)).toEqual([{ kind: 'file', name: 'file', size: content.bytes.length, id: content.id }]);
  expect(index.manifests.find(id)?.head).toMatchObject({ kind: 'folder', length: bytes.length });
});

test('of a download only what has come is sent', async () => {
  const unfinished = new UnfinishedDownloads(index);
  const noted = unfinished.begin({ ...content, path: 'file' as SharePath, now: 0 });
  const download = await DownloadFile.open({ root, index, unfinished }, noted);
  const incoming = download.receive(1);
  incoming.add(0, content.piece(1));
  await incoming.save();
  const source = sourceOfDownload(download);
  const { bytes } = await collect(source, [{ first: 1, count: 1 }], 262_144);
  expect(bytes.equals(content.piece(1))).toBe(true);
  await expect(collect(source, [{ first: 1, count: 2 }])).rejects.toEqual(notHeld);
  await expect(open()).rejects.toEqual(notHeld);
  await download.drop();
});

test('many who read at once from one memory have each the right bytes, whoever leaves in the middle', async () => {
  const seed = Number(process.env.WARREN_SEED ?? Math.floor(Math.random() * 2 ** 32));
  console.log(`WARREN_SEED=${seed}`);
  const random = seededRandom(seed);
  const large = sampleContent(12 * pieceBytes + 5, 3);
  const source: PieceSource = {
    length: large.bytes.length,
    async read(piece, into) {
      for (let waits = Math.floor(random() * 3); waits > 0; waits--) await turn();
      await sourceOfBytes(large.bytes).read(piece, into);
    },
    close: async () => {},
  };
  const memory = createPieceMemory();
  const readers = Array.from({ length: 40 }, async () => {
    const frameBytes = random() < 0.5 ? 256 * 1024 : 4_096 + Math.floor(random() * 300_000);
    const first = Math.floor(random() * 12);
    const leavesAfter = random() < 0.4 ? 1 + random() * 8 : Number.POSITIVE_INFINITY;
    let frames = 0;
    for await (const frame of framesOf(source, [{ first, count: 13 - first }], () => frameBytes, memory)) {
      for (let waits = Math.floor(random() * 3); waits > 0; waits--) await turn();
      // As it is sent: what is before the data is written, and all of it copied.
      const { data } = pieceFrames.decode(Buffer.from(pieceFrames.encode(frame).finish()));
      const at = frame.piece * pieceBytes + frame.offset;
      if (!large.bytes.subarray(at, at + data.length).equals(data)) throw new Error(`other bytes at ${at}`);
      if (++frames >= leavesAfter) break;
    }
  });
  await Promise.all(readers);
});
