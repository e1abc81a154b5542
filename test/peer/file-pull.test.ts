import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Failure } from '../../services/lib/failure.ts';
import { ContentIndex } from '../../services/peer/content-index.ts';
import { DownloadFile } from '../../services/peer/download-file.ts';
import { FilePull, type PullOptions, type PullParts } from '../../services/peer/file-pull.ts';
import { stampOf } from '../../services/peer/file-stamp.ts';
import { pieceBytes } from '../../services/peer/merkle.ts';
import type { PieceFrame } from '../../services/peer/piece-frame.ts';
import type { PieceRun } from '../../services/peer/piece-map.ts';
import { framesOf, openHeldFile, sourceOfDownload } from '../../services/peer/piece-source.ts';
import type { SharePath } from '../../services/peer/share-path.ts';
import { TokenBucket } from '../../services/peer/token-bucket.ts';
import { UnfinishedDownloads } from '../../services/peer/unfinished.ts';
import { seededRandom } from '../support/seeded.ts';
import { until } from '../support/until.ts';
import { type SampleContent, sampleContent } from './parts/content.ts';

let dir: string;
const closing: (() => unknown)[] = [];

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'warren-pull-'));
});

afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
  rmSync(dir, { recursive: true, force: true });
});

/** A share of its own. */
function home(name: string) {
  const root = join(dir, name);
  mkdirSync(root);
  const index = new ContentIndex(join(dir, `${name}.data`));
  closing.push(() => index.close());
  return { root, index, unfinished: new UnfinishedDownloads(index) };
}

type Home = ReturnType<typeof home>;
type Fetch = (run: PieceRun, signal: AbortSignal) => AsyncIterable<PieceFrame>;

/** A real file that is served from disk. */
async function seed(name: string, { bytes, leaves, id }: SampleContent): Promise<Fetch> {
  const { root, index } = home(name);
  writeFileSync(join(root, 'file'), bytes);
  const stats = await stat(join(root, 'file'), { bigint: true });
  index.transaction(() =>
    index.setFile('file', { length: bytes.length, stamp: stampOf(stats), modifiedMs: 0, leaves }),
  );
  return async function* (run, signal) {
    const source = await openHeldFile({ root, index, onChanged: () => {} }, id);
    try {
      for await (const frame of framesOf(source, [run], () => 65_536)) {
        if (signal.aborted) return;
        yield frame;
      }
    } finally {
      await source.close();
    }
  };
}

async function pull(
  at: Home,
  content: SampleContent,
  sources: Record<string, Fetch>,
  parts: Partial<PullParts> = {},
  options: PullOptions = {},
) {
  const noted = at.unfinished.begin({ ...content, path: 'got/file' as SharePath, now: 0 });
  const download = await DownloadFile.open(at, noted);
  const pulling = new FilePull(
    {
      download,
      random: seededRandom(1),
      fetch: (source, run, signal) => sources[source]?.(run, signal) ?? (async function* () {})(),
      ...parts,
    },
    whole => whole.finish(),
    { backoff: { firstMs: 20, maxMs: 100 }, stallMs: 300, courtesyMs: 100, ...options },
  );
  closing.push(() => pulling.close());
  return { pulling, download };
}

describe('a pull', () => {
  test('from honest, lying, failing and silent sources has the file in the end, and names who lied', async () => {
    const content = sampleContent(20 * pieceBytes + 3);
    const honest = await seed('honest', content);
    const other = await seed('other', content);
    const banned: string[] = [];
    const { pulling } = await pull(
      home('receiver'),
      content,
      {
        honest,
        other,
        async *liar(run, signal) {
          for await (const frame of honest(run, signal)) yield { ...frame, data: Buffer.alloc(frame.data.length) };
        },
        async *endless(run) {
          for (;;) yield { piece: run.first, offset: 0, data: Buffer.alloc(65_536) };
        },
        async *swapped(run, signal) {
          yield* honest({ first: (run.first + 1) % 20, count: 1 }, signal);
        },
        // biome-ignore lint/correctness/useYield: it fails before it would
        async *failing() {
          throw new Error('no');
        },
        // biome-ignore lint/correctness/useYield: it is silent
        async *silent(_, signal) {
          await wait(60_000, undefined, { signal });
        },
      },
      { onBan: source => banned.push(source) },
    );
    for (const source of ['liar', 'endless', 'swapped', 'failing', 'silent', 'honest', 'other'])
      pulling.join(source, undefined);
    expect(await pulling.done).toBe('got/file');
    expect(readFileSync(join(dir, 'receiver/got/file')).equals(content.bytes)).toBe(true);
    expect(pulling.verified).toBe(content.bytes.length);
    expect(banned.sort()).toEqual(['endless', 'liar', 'swapped']);
  });

  test('of an empty file is done without anybody', async () => {
    const { pulling } = await pull(home('receiver'), sampleContent(0), {});
    expect(await pulling.done).toBe('got/file');
  });

  test('that is closed goes on where it was, and others have what it has meanwhile', async () => {
    const content = sampleContent(12 * pieceBytes);
    const honest = await seed('honest', content);
    const at = home('receiver');
    let fetched = 0;
    const first = await pull(at, content, {
      async *honest(run, signal) {
        fetched += run.count;
        for await (const frame of honest(run, signal)) {
          yield frame;
          if (first.download.map.count >= 5) await wait(60_000, undefined, { signal });
        }
      },
    });
    first.pulling.join('honest', undefined);
    await until(
      () => first.download.map.count,
      count => count >= 5,
    );

    // A second receiver takes what the first one has, and no more is to be had.
    const other = home('other');
    const source = sourceOfDownload(first.download);
    const second = await pull(other, content, { first: run => framesOf(source, [run], () => 262_144) });
    second.pulling.join('first', first.download.map);
    await until(
      () => second.download.map.count,
      count => count === first.download.map.count,
    );

    await first.pulling.close();
    await expect(first.pulling.done).rejects.toMatchObject({ code: 'PEER_CANCELLED' });
    const had = at.unfinished.find(content.id)?.map.count ?? 0;
    expect(had).toBeGreaterThanOrEqual(5);
    fetched = 0;
    const again = await pull(at, content, {
      async *honest(run, signal) {
        fetched += run.count;
        yield* honest(run, signal);
      },
    });
    again.pulling.join('honest', undefined);
    await again.pulling.done;
    expect(fetched).toBe(12 - had);
    expect(readFileSync(join(at.root, 'got/file')).equals(content.bytes)).toBe(true);
  });

  test('that is paused asks nobody until it is resumed; cancelled, it leaves nothing', async () => {
    const content = sampleContent(5 * pieceBytes);
    const honest = await seed('honest', content);
    const at = home('receiver');
    let asked = 0;
    const { pulling } = await pull(at, content, {
      async *honest(run, signal) {
        asked++;
        await wait(30, undefined, { signal });
        yield* honest(run, signal);
      },
    });
    pulling.pause();
    pulling.join('honest', undefined);
    await wait(600);
    expect(asked).toBe(0);
    pulling.resume();
    await until(
      () => pulling.verified,
      verified => verified > 0,
    );
    await pulling.cancel();
    await expect(pulling.done).rejects.toMatchObject({ code: 'PEER_CANCELLED' });
    expect(at.unfinished.list()).toEqual([]);
  });

  test('keeps to its rate, and does not blame the source for it', async () => {
    const content = sampleContent(2 * 65_536);
    const honest = await seed('honest', content);
    // One frame, and five seconds to pay it off.
    const bucket = new TokenBucket(65_536 / 5, performance.now(), 0);
    const passed: string[] = [];
    const startedAt = performance.now();
    const { pulling } = await pull(
      home('receiver'),
      content,
      { honest },
      { paceMs: bytes => bucket.take(bytes, performance.now()), onPass: source => passed.push(source) },
      { stallMs: 2_500 },
    );
    pulling.join('honest', undefined);
    await pulling.done;
    expect(performance.now() - startedAt).toBeGreaterThan(4_900);
    expect(passed).toEqual([]);
  });

  test('is held by what is in its way, says so, and goes on by itself', async () => {
    const content = sampleContent(pieceBytes);
    const at = home('receiver');
    const held: (Failure | undefined)[] = [];
    const { download } = await pull(at, content, {});
    let tries = 0;
    const pulling = new FilePull(
      {
        download,
        random: seededRandom(1),
        async *fetch() {
          yield { piece: 0, offset: 0, data: content.bytes };
        },
        onHeld: failure => held.push(failure),
      },
      async whole => {
        // As a full disk would, at the last moment.
        if (tries++ === 0) rmSync(join(at.root, '.warren/partial'), { recursive: true });
        return whole.finish();
      },
      { holdMs: 30 },
    );
    closing.push(() => pulling.close());
    pulling.join('a', undefined);
    await until(
      () => held.map(each => each?.code),
      codes => codes.includes('PEER_DISK'),
    );
    mkdirSync(join(at.root, '.warren/partial'), { recursive: true });
    writeFileSync(join(at.root, '.warren/partial', content.id), content.bytes);
    expect(await pulling.done).toBe('got/file');
  });

  test('that must not be placed where it was to go ends, and keeps what has come', async () => {
    const content = sampleContent(10);
    const at = home('receiver');
    symlinkSync('/tmp', join(at.root, 'got'));
    const { pulling } = await pull(at, content, {
      async *a() {
        yield { piece: 0, offset: 0, data: content.bytes };
      },
    });
    pulling.join('a', undefined);
    await expect(pulling.done).rejects.toMatchObject({ code: 'PEER_PATH_LINK' });
    expect(at.unfinished.find(content.id)?.map.count).toBe(1);
  });
});
