import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Failure } from '../../../services/lib/failure.ts';
import { ContentIndex } from '../../../services/peer/content-index.ts';
import { DownloadFile, hasRoom } from '../../../services/peer/download-file.ts';
import { pieceBytes } from '../../../services/peer/merkle.ts';
import type { SharePath } from '../../../services/peer/share-path.ts';
import { UnfinishedDownloads } from '../../../services/peer/unfinished.ts';
import { sampleContent } from './content.ts';

/**
 * Runs in a mount namespace of its own (`unshare -m`): the share is a file system of 24 MiB that is really full, and really read-only. Prints
 * what was seen, as JSON.
 */
const dir = process.argv[2] ?? '';
const root = join(dir, 'share');
mkdirSync(root, { recursive: true });
execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=24m', 'tmpfs', root]);
const index = new ContentIndex(join(dir, 'other data'));
const unfinished = new UnfinishedDownloads(index);
const place = { root, index, unfinished };
const content = sampleContent(10 * pieceBytes, 5);
const seen: Record<string, unknown> = {};

async function codeOf(act: () => Promise<unknown>): Promise<string> {
  try {
    await act();
    return 'none';
  } catch (error) {
    return error instanceof Failure ? error.code : String(error);
  }
}

async function receive(download: DownloadFile, piece: number): Promise<void> {
  const incoming = download.receive(piece);
  incoming.add(0, content.piece(piece));
  await incoming.save();
}

const noted = unfinished.begin({ ...content, path: 'folder/file.bin' as SharePath, now: 0 });
writeFileSync(join(root, 'filler'), Buffer.alloc(16 * pieceBytes));
seen.noRoomAtFirst = await codeOf(() => DownloadFile.open(place, noted));
seen.hasRoom = [await hasRoom(root, 10 * pieceBytes), await hasRoom(root, 4 * pieceBytes)];
rmSync(join(root, 'filler'));

let download = await DownloadFile.open(place, noted);
for (let piece = 0; piece < 4; piece++) await receive(download, piece);
writeFileSync(join(root, 'filler'), Buffer.alloc(18 * pieceBytes));
let piece = 4;
let full = 'none';
for (; piece < 10; piece++) {
  full = await codeOf(() => receive(download, piece));
  if (full !== 'none') break;
}
seen.fullOnTheWay = full;
seen.pieceNotCounted = !download.map.has(piece);
seen.underFinalName = readdirSync(root).includes('folder');
await download.close();
rmSync(join(root, 'filler'));

const again = unfinished.find(content.id);
if (again === undefined) throw new Error('the download is forgotten');
download = await DownloadFile.open(place, again);
seen.keptPieces = download.map.count;
for (let each = 0; each < 10; each++) if (!download.map.has(each)) await receive(download, each);

// A mount of its own: it can be read-only while the partial file is open, and no hard link leads into it.
const folder = join(root, 'folder');
mkdirSync(folder);
execFileSync('mount', ['--bind', folder, folder]);
execFileSync('mount', ['-o', 'remount,bind,ro', folder]);
seen.readOnly = await codeOf(() => download.finish());
execFileSync('mount', ['-o', 'remount,bind,rw', folder]);
seen.finished = await download.finish();
seen.isEqual = readFileSync(join(root, 'folder/file.bin')).equals(content.bytes);
seen.leftovers = [...readdirSync(join(root, '.warren/partial')), ...readdirSync(join(folder, '.warren'))];
seen.indexed = index.filesOf(content.id).map(({ path }) => path);
index.close();
console.log(JSON.stringify(seen));
