import { mkdir, open, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { Failure } from '../lib/failure.ts';
import type { Client } from '../lib/rpc/definition.ts';
import { settled } from '../lib/settled.ts';
import { diskFailure } from './disk-failure.ts';
import type { DownloadPlace } from './download-file.ts';
import { stampOf } from './file-stamp.ts';
import { partialDir, placeFiles } from './final-place.ts';
import { type ContentId, type ContentKind, contentIdOf, type ManifestHead, manifestOf, pieceBytes } from './merkle.ts';
import type { SwarmService } from './piece-frame.ts';
import { sha256 } from './sha256.ts';
import type { SharePath } from './share-path.ts';

/** What a folder names, and has one piece: a file of up to 1 MiB, or the listing of a folder. */
export interface SmallWanted {
  readonly id: ContentId;
  readonly kind: ContentKind;
  readonly path: SharePath;
}

/** A file is under its name and in the index; a listing is as it was sent. */
export interface SmallArrived<W extends SmallWanted> {
  readonly wanted: W;
  readonly bytes: Uint8Array;
}

interface Checked<W extends SmallWanted> extends SmallArrived<W> {
  readonly head: ManifestHead;
  readonly leaves: Uint8Array;
}

/** Nothing for so long: the other one has stalled. */
const stallMs = 10_000;
let partials = 0;

/**
 * Many small contents by one call: a call for each, its manifest, its map and its pieces are some 7 ms of both sides' time, whatever it
 * brings. Here a file has nothing noted before it is whole and checked: after a crash it comes again. What the other one left out is
 * left out here too.
 * @param wanted at most 256, of different ids
 * @param pace resolves when more may come
 * @throws Failure PEER_WRONG (something else was sent), PEER_STALLED, PEER_DISK…, PEER_PATH_…, CallFailure
 */
export async function* fetchSmall<W extends SmallWanted>(
  client: Client<SwarmService>,
  { place, transferId, pace }: { place: DownloadPlace; transferId: string; pace: (bytes: number) => Promise<unknown> },
  wanted: readonly W[],
  signal: AbortSignal,
): AsyncGenerator<readonly SmallArrived<W>[]> {
  const stalled = new AbortController();
  const timer = setTimeout(() => stalled.abort(), stallMs);
  const left = new Set(wanted.keys());
  try {
    const request = { ids: wanted.map(({ id }) => id), transferId };
    const both = AbortSignal.any([signal, stalled.signal]);
    for await (const { contents } of client.fetchSmall(request, { signal: both })) {
      timer.refresh();
      const checked = contents.map(({ number, data }) => {
        const each = wanted[number];
        if (each === undefined || !left.delete(number))
          throw new Failure('PEER_WRONG', 'it sent what was not asked for');
        return check(each, data);
      });
      await placeSmall(
        place,
        checked.filter(({ wanted: { kind } }) => kind === 'file'),
      );
      yield checked;
      await pace(checked.reduce((sum, { bytes }) => sum + bytes.length, 0));
      timer.refresh();
    }
  } catch (error) {
    if (stalled.signal.aborted) throw new Failure('PEER_STALLED', `it has sent nothing for ${stallMs / 1_000} s`);
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

function check<W extends SmallWanted>(wanted: W, bytes: Uint8Array): Checked<W> {
  const { id, kind } = wanted;
  const manifest = bytes.length > pieceBytes ? undefined : manifestOf(sha256, kind, bytes);
  if (manifest === undefined || contentIdOf(sha256, manifest.head) !== id)
    throw new Failure('PEER_WRONG', `it sent something else for ${id}`);
  return { wanted, bytes, ...manifest };
}

/** Whole, synced, under their names, in the index: all of it, in this order, for all at once. */
async function placeSmall<W extends SmallWanted>(
  { root, index }: DownloadPlace,
  files: readonly Checked<W>[],
): Promise<void> {
  if (files.length === 0) return;
  const dir = partialDir(root);
  const ready = files.map(file => ({ ...file, partial: join(dir, `${file.wanted.id}.${partials++}`) }));
  try {
    await mkdir(dir, { recursive: true, mode: 0o700 });
    await settled(ready.map(({ partial, bytes }) => writeSynced(partial, bytes)));
    const paths = await placeFiles(
      root,
      ready.map(({ partial, wanted, bytes }) => ({ partial, path: wanted.path, bytes })),
    );
    await settled(ready.map(({ partial }) => rm(partial, { force: true })));
    const stats = await settled(paths.map(path => stat(join(root, path), { bigint: true })));
    index.transaction(() => {
      for (const [at, { head, leaves, wanted }] of ready.entries()) {
        const [path, found] = [paths[at], stats[at]];
        if (path === undefined || found === undefined) continue;
        const content = index.manifests.add(head, leaves, wanted.id);
        index.linkFile(path, content, { stamp: stampOf(found), modifiedMs: Number(found.mtimeMs) });
      }
    });
  } catch (error) {
    throw diskFailure(error, dir);
  } finally {
    await Promise.allSettled(ready.map(({ partial }) => rm(partial, { force: true })));
  }
}

async function writeSynced(path: string, bytes: Uint8Array): Promise<void> {
  await using file = await open(path, 'wx');
  await file.writeFile(bytes);
  await file.sync();
}
