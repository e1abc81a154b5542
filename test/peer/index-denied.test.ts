import { mkdirSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { ContentIndex } from '../../services/peer/content-index.ts';
import { DownloadFile } from '../../services/peer/download-file.ts';
import { partialDir } from '../../services/peer/final-place.ts';
import { Limits } from '../../services/peer/limits.ts';
import type { SharePath } from '../../services/peer/share-path.ts';
import { UnfinishedDownloads } from '../../services/peer/unfinished.ts';
import { type SampleContent, sampleContent } from './parts/content.ts';

let dir: string;
let root: string;
let index: ContentIndex;
let unfinished: UnfinishedDownloads;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'warren-denied-'));
  root = join(dir, 'share');
  mkdirSync(root);
  index = new ContentIndex(join(dir, 'data'));
  unfinished = new UnfinishedDownloads(index);
});

afterEach(() => {
  index.close();
  rmSync(dir, { recursive: true, force: true });
});

/** As when its disk is full: every write fails from now on. */
function denyWrites(): void {
  index.database.exec('PRAGMA query_only = ON');
}

async function received(content: SampleContent): Promise<DownloadFile> {
  const noted = unfinished.begin({ ...content, path: 'file' as SharePath, now: 1 });
  const download = await DownloadFile.open({ root, index, unfinished }, noted);
  const incoming = download.receive(0);
  incoming.add(0, content.bytes);
  await incoming.save();
  return download;
}

function openPartials(): string[] {
  return readdirSync('/proc/self/fd').flatMap(fd => {
    try {
      const at = readlinkSync(`/proc/self/fd/${fd}`);
      return at.startsWith(partialDir(root)) ? [at] : [];
    } catch {
      return [];
    }
  });
}

// Both run in a timer or on the way out, where a throw would end the daemon.
test('a download whose progress cannot be noted goes on, and lets go of its file when it is closed', async () => {
  const download = await received(sampleContent(1_000));
  denyWrites();
  expect(() => download.note()).not.toThrow();
  await download.close();
  if (process.platform === 'linux') expect(openPartials()).toEqual([]);
});

test('a download that has its final name is done, though the index cannot be written any more', async () => {
  const content = sampleContent(1_000);
  const download = await received(content);
  const end = unfinished.end.bind(unfinished);
  unfinished.end = id => {
    end(id);
    queueMicrotask(denyWrites);
  };
  expect(await download.finish()).toBe('file');
  expect(readFileSync(join(root, 'file')).equals(content.bytes)).toBe(true);
});

test('an offer that has come counts, though the index cannot be written', () => {
  const limits = new Limits(index, () => 0);
  limits.quota.promise('a', 100);
  denyWrites();
  expect(() => limits.settleOffer('a', true)).not.toThrow();
  expect(limits.quota.used).toBe(100);
});
