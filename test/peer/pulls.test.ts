import { mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { TransferPhase } from '../../proto/gen/warren/peer/v1/peer.ts';
import type { MemberId } from '../../services/lib/identity/member-id.ts';
import { CallFailure } from '../../services/lib/rpc/call-failure.ts';
import { ContentIndex } from '../../services/peer/content-index.ts';
import type { ContentPull, PullNeeds } from '../../services/peer/content-pull.ts';
import { Contents } from '../../services/peer/contents.ts';
import { Download } from '../../services/peer/download.ts';
import { updateFolderIds } from '../../services/peer/folder-ids.ts';
import { Limits } from '../../services/peer/limits.ts';
import type { ContentId } from '../../services/peer/merkle.ts';
import { Pulls } from '../../services/peer/pulls.ts';
import type { SharePath } from '../../services/peer/share-path.ts';
import { UnfinishedDownloads } from '../../services/peer/unfinished.ts';
import { sampleContent } from './parts/content.ts';

const content = sampleContent(1_000);
let dir: string;
let root: string;
let index: ContentIndex;
let begun: ContentPull[];

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'warren-pulls-'));
  root = join(dir, 'share');
  mkdirSync(root);
  index = new ContentIndex(join(dir, 'data'));
  begun = [];
});

afterEach(async () => {
  await Promise.all(begun.map(pull => pull.close()));
  index.close();
  rmSync(dir, { recursive: true, force: true });
});

/** Of a member that finds nobody. */
function needsOfOne(): PullNeeds {
  const away = async (): Promise<never> => {
    throw new CallFailure('UNAVAILABLE', 'AWAY', 'nobody answers');
  };
  const clock = (): number => performance.now();
  return {
    host: { id: '1'.repeat(64) as MemberId, dial: away, clock, now: Date.now, random: Math.random, warn: () => {} },
    place: { root, index, unfinished: new UnfinishedDownloads(index) },
    contents: new Contents({ root, index, onChanged: () => {} }),
    locator: { known: () => [], locate: away, find: away, contactOf: async () => undefined },
    limits: new Limits(index, clock),
  };
}

function alone(): Pulls {
  return new Pulls(needsOfOne());
}

function obtain(pulls: Pulls, path: string, signal: AbortSignal) {
  const request = { id: content.id, path: path as SharePath, transferId: path, from: [], isPaused: false };
  return pulls.obtain(request, { pulls: pull => begun.push(pull), held: () => {} }, signal);
}

test('who waits for what another one pulls can be called off', async () => {
  const pulls = alone();
  const [first, second] = [new AbortController(), new AbortController()];
  const pulling = obtain(pulls, 'one', first.signal);
  const waiting = obtain(pulls, 'two', second.signal);
  expect(begun).toHaveLength(1);
  second.abort();
  await expect(waiting).rejects.toMatchObject({ code: 'PEER_CANCELLED' });
  await begun[0]?.cancel();
  await expect(pulling).rejects.toMatchObject({ code: 'PEER_CANCELLED' });
});

test('what is called off while it is looked whether it is here is not pulled afterwards', async () => {
  // In the index, and another file by now.
  writeFileSync(join(root, 'held'), 'changed');
  const { bytes, leaves } = content;
  index.transaction(() => index.setFile('held', { length: bytes.length, stamp: 'old', modifiedMs: 0, leaves }));
  const wanted = new AbortController();
  const obtaining = obtain(alone(), 'one', wanted.signal);
  wanted.abort();
  await expect(obtaining).rejects.toMatchObject({ code: 'PEER_CANCELLED' });
  expect(begun).toEqual([]);
});

test('an offer without bytes cannot bring files without end', async () => {
  const empty = { length: 0, stamp: 'old', modifiedMs: 0, leaves: new Uint8Array() };
  index.transaction(() => {
    for (let at = 0; at <= 10_000; at++) index.setFile(`many/${at}`, empty);
  });
  await updateFolderIds(index, new AbortController().signal);
  const id = index.factsOf('many')?.id as ContentId;
  const download = new Download(
    { ...needsOfOne(), pulls: alone(), platform: 'posix', onChange: () => {}, onSteered: () => {} },
    { id, path: 'gift' as SharePath, transferId: 'x', from: [], mostBytes: 0 },
  );
  expect(await download.done).toMatchObject({ state: TransferPhase.TRANSFER_PHASE_FAILED, reason: 'OFFER' });
  expect(readdirSync(root)).toEqual([]);
});

test('a path that cannot be is said before anything is pulled for it', async () => {
  writeFileSync(join(root, 'file'), '');
  symlinkSync(dir, join(root, 'link'));
  const wanted = new AbortController();
  for (const [path, code] of [
    ['file/one', 'PEER_PATH_TAKEN'],
    ['link/one', 'PEER_PATH_LINK'],
  ] as const)
    await expect(obtain(alone(), path, wanted.signal)).rejects.toMatchObject({ code });
});
