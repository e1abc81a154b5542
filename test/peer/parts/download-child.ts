import { setTimeout as wait } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { ContentIndex } from '../../../services/peer/content-index.ts';
import { DownloadFile, removeStrays } from '../../../services/peer/download-file.ts';
import type { SharePath } from '../../../services/peer/share-path.ts';
import { UnfinishedDownloads } from '../../../services/peer/unfinished.ts';
import { sampleContent } from './content.ts';

/**
 * A process that pulls some sample contents one after the other, a piece now and then, and can be killed at any moment: run again, it goes on.
 * Prints `resumed N` and `piece N` per piece, `done PATH` per file, `end`.
 */
const { values } = parseArgs({
  options: {
    root: { type: 'string', default: '' },
    data: { type: 'string', default: '' },
    files: { type: 'string', default: '1' },
    length: { type: 'string', default: '0' },
    pause: { type: 'string', default: '0' },
  },
});
const index = new ContentIndex(values.data);
const unfinished = new UnfinishedDownloads(index);
const place = { root: values.root, index, unfinished };
await removeStrays(place);
for (let file = 1; file <= Number(values.files); file++) {
  const content = sampleContent(Number(values.length), file);
  if (index.filesOf(content.id).length > 0) continue;
  const noted = unfinished.begin({ ...content, path: `got/file ${file}.bin` as SharePath, now: Date.now() });
  const download = await DownloadFile.open(place, noted);
  console.log(`resumed ${download.map.count}`);
  for (let piece = 0; piece < download.map.pieces; piece++) {
    if (download.map.has(piece)) continue;
    const incoming = download.receive(piece);
    const bytes = content.piece(piece);
    for (let at = 0; at < bytes.length; at += 65_536) incoming.add(at, bytes.subarray(at, at + 65_536));
    await incoming.save();
    if (piece % 4 === 3) download.note();
    console.log(`piece ${piece}`);
    if (Number(values.pause) > 0) await wait(Number(values.pause));
  }
  console.log(`done ${await download.finish()}`);
}
index.close();
console.log('end');
