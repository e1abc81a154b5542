import {
  appendFileSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Failure } from '../../services/lib/failure.ts';
import { ContentIndex } from '../../services/peer/content-index.ts';
import { findListing } from '../../services/peer/folder-ids.ts';
import { decodeListing } from '../../services/peer/listing.ts';
import { contentIdOf, leafOf, partRootsOf, pieceBytes } from '../../services/peer/merkle.ts';
import { sha256 } from '../../services/peer/sha256.ts';
import { Share, type ShareOptions } from '../../services/peer/share.ts';
import { until } from '../support/until.ts';

let dir: string;
let root: string;
let index: ContentIndex;
let share: Share | undefined;
const problems: Failure[] = [];

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'warren-share-'));
  root = join(dir, 'share');
  mkdirSync(root);
  index = new ContentIndex(join(dir, 'data'));
  problems.length = 0;
});

afterEach(async () => {
  await share?.close();
  share = undefined;
  index.close();
  rmSync(dir, { recursive: true, force: true });
});

function start(options: ShareOptions = {}): Share {
  share = new Share(
    { root, index, indexDir: join(dir, 'data'), onChange: () => {}, onProblem: failure => problems.push(failure) },
    { settleMs: 50, rescanMs: 0, ...options },
  );
  return share;
}

function idOf(content: Buffer): string {
  const leaves: Uint8Array[] = [];
  for (let at = 0; at < content.length; at += pieceBytes)
    leaves.push(leafOf(sha256, content.subarray(at, at + pieceBytes)));
  const all = Buffer.concat(leaves);
  return contentIdOf(sha256, { kind: 'file', length: content.length, partRoots: partRootsOf(sha256, all) });
}

const paths = (): string[] => index.listFiles('', 1_000).map(({ path }) => path);
const becomes = (expected: string[]): Promise<string[]> =>
  until(paths, seen => JSON.stringify(seen) === JSON.stringify(expected), 10_000);

test('hashing that has stopped says so, and begins again', async () => {
  writeFileSync(join(root, 'file'), 'x');
  // The thread reads it when it starts.
  renameSync(join(dir, 'data'), join(dir, 'moved'));
  start();
  await until(
    () => problems,
    seen => seen.length > 0,
  );
  expect(problems[0]?.message).toMatch(/hashing has stopped \(.*\), and begins again in 1 s/);
  renameSync(join(dir, 'moved'), join(dir, 'data'));
  await becomes(['file']);
});

test('what is found and not hashed yet is counted', async () => {
  for (let at = 0; at < 300; at++) writeFileSync(join(root, `${at}`), `${at}`);
  // Longer than any machine takes to get as far.
  const waiting = start({ settleMs: 60_000 });
  await until(
    () => waiting.pending,
    pending => pending === 300,
  );
  await waiting.close();
  const hashing = start({ settleMs: 0 });
  await hashing.whenIdle();
  expect(hashing.pending).toBe(0);
});

describe('a share', () => {
  test('has each file under the id of its content, empty ones and ones of several pieces too', async () => {
    mkdirSync(join(root, 'a/b'), { recursive: true });
    const contents = {
      empty: '',
      'a/b/deep': 'x',
      'a/large': 'x'.repeat(pieceBytes + 1),
      'a/exact': 'y'.repeat(pieceBytes),
    };
    for (const [path, content] of Object.entries(contents)) writeFileSync(join(root, path), content);
    await start().whenIdle();
    for (const [path, content] of Object.entries(contents))
      expect(index.findFile(path)).toMatchObject({ id: idOf(Buffer.from(content)), length: content.length });
    expect(problems).toEqual([]);
  });

  test('sees what is added, changed, renamed and removed, also in new folders', async () => {
    await start().whenIdle();
    writeFileSync(join(root, 'one'), '1');
    await becomes(['one']);
    mkdirSync(join(root, 'new/deep'), { recursive: true });
    writeFileSync(join(root, 'new/deep/two'), '2');
    await becomes(['one', 'new/deep/two']);
    appendFileSync(join(root, 'new/deep/two'), '2');
    await until(
      () => index.findFile('new/deep/two')?.id,
      id => id === idOf(Buffer.from('22')),
    );
    renameSync(join(root, 'new'), join(root, 'old'));
    await becomes(['one', 'old/deep/two']);
    writeFileSync(join(root, 'old/deep/three'), '3');
    await becomes(['one', 'old/deep/three', 'old/deep/two']);
    rmSync(join(root, 'old'), { recursive: true });
    await becomes(['one']);
    rmSync(join(root, 'one'));
    await becomes([]);
  });

  test('waits for a file that is being written, and has it as it is in the end', async () => {
    await start({ settleMs: 900 }).whenIdle();
    let content = '';
    for (let part = 0; part < 20; part++) {
      appendFileSync(join(root, 'growing'), `${part}`);
      content += part;
      await new Promise(resolve => setTimeout(resolve, 20));
      expect(paths()).toEqual([]);
    }
    await becomes(['growing']);
    expect(index.findFile('growing')?.id).toBe(idOf(Buffer.from(content)));
    // Announced once, not for each state.
    expect(index.changes(10).filter(({ path }) => path === 'growing')).toHaveLength(1);
  });

  test('tells what to announce, oldest first, until that is confirmed; a later change replaces an earlier one', async () => {
    mkdirSync(join(root, 'f'));
    writeFileSync(join(root, 'f/a'), '1');
    await start().whenIdle();
    const first = index.changes(10);
    expect(first.map(({ path, facts }) => [path, facts?.kind])).toEqual([
      ['f/a', 'file'],
      ['f', 'folder'],
    ]);
    const counters = first.map(({ counter }) => counter);
    expect(counters).toEqual([...counters].sort((a, b) => a - b));
    index.forgetChanges(counters.at(-1) ?? 0);
    expect(index.changes(10)).toEqual([]);

    writeFileSync(join(root, 'f/a'), '2');
    await until(
      () => index.findFile('f/a')?.id,
      id => id === idOf(Buffer.from('2')),
    );
    rmSync(join(root, 'f/a'));
    await becomes([]);
    await share?.whenIdle();
    const later = index.changes(10);
    expect(later.find(({ path }) => path === 'f/a')?.facts).toBeUndefined();
    for (const { counter } of later) expect(counter).toBeGreaterThan(counters.at(-1) ?? 0);

    // And the counter never goes back.
    const last = index.takeCounter();
    expect(last).toBeGreaterThan(Math.max(...later.map(({ counter }) => counter)));
    await share?.close();
    share = undefined;
    index.close();
    index = new ContentIndex(join(dir, 'data'));
    expect(index.counter).toBeGreaterThanOrEqual(last);
    writeFileSync(join(root, 'b'), '3');
    await start().whenIdle();
    for (const { path, counter } of index.changes(10)) if (path === 'b') expect(counter).toBeGreaterThan(last);
  });

  test('has one content for equal files, and one id for equal folders', async () => {
    for (const folder of ['x', 'y/z']) {
      mkdirSync(join(root, folder), { recursive: true });
      writeFileSync(join(root, folder, 'same'), 'same');
      writeFileSync(join(root, folder, 'other'), 'other');
    }
    linkSync(join(root, 'x/same'), join(root, 'hard link'));
    await start().whenIdle();
    const id = index.findFile('x/same')?.id;
    if (id === undefined) throw new Error('x/same is not there');
    expect(index.filesOf(id).map(({ path }) => path)).toEqual(['hard link', 'x/same', 'y/z/same']);
    expect(index.factsOf('x')).toMatchObject({ kind: 'folder', length: 9 });
    expect(index.factsOf('x')?.id).toBe(index.factsOf('y/z')?.id);
    const folder = index.factsOf('y')?.id;
    if (folder === undefined) throw new Error('y is not there');
    const listing = findListing(index, folder);
    expect(decodeListing(listing ?? new Uint8Array())).toEqual([
      { kind: 'folder', name: 'z', size: 9, id: index.factsOf('x')?.id },
    ]);
    writeFileSync(join(root, 'y/z/other'), 'OTHER');
    await until(
      () => index.factsOf('y')?.id,
      seen => seen !== folder,
    );
    expect(findListing(index, folder)).toBeUndefined();
  });

  test('leaves links, its own folders and what is excluded alone, and says why a file is refused', async () => {
    mkdirSync(join(root, '.warren/partial'), { recursive: true });
    writeFileSync(join(root, '.warren/partial/x'), 'x');
    mkdirSync(join(root, 'data'));
    writeFileSync(join(root, 'data/key'), 'secret');
    mkdirSync(join(dir, 'outside'));
    writeFileSync(join(dir, 'outside/secret'), 'secret');
    symlinkSync(join(dir, 'outside/secret'), join(root, 'link to a file'));
    symlinkSync(join(dir, 'outside'), join(root, 'link to a folder'));
    symlinkSync('/etc', join(root, 'etc'));
    writeFileSync(join(root, 'a\nb'), 'x');
    writeFileSync(join(root, 'a\\b'), 'x');
    writeFileSync(Buffer.concat([Buffer.from(`${root}/`), Buffer.of(0x66, 0xff, 0x66)]), 'x');
    for (const odd of ['é', 'e\u0301', 'CON', 'x'.repeat(255), ' ', '-rf']) writeFileSync(join(root, odd), odd);
    await start({ exclude: [join(root, 'data')], platform: 'posix' }).whenIdle();
    expect(new Set(paths())).toEqual(new Set([' ', '-rf', 'CON', 'e\u0301', 'x'.repeat(255), 'é']));
    expect(Object.fromEntries(index.refusals(10).map(({ path, reason }) => [path, reason]))).toEqual({
      'a\nb': 'CONTROL',
      'a\\b': 'SEPARATOR',
      'f\ufffdf': 'NOT_UNICODE',
      'link to a file': 'LINK',
      'link to a folder': 'LINK',
      etc: 'LINK',
    });
  });

  test('that is away for a while is not taken for deleted', async () => {
    writeFileSync(join(root, 'a'), 'a');
    await start().whenIdle();
    renameSync(root, `${root}.away`);
    share?.rescan();
    await until(
      () => problems.map(({ code }) => code),
      codes => codes.includes('PEER_SHARE'),
    );
    expect(paths()).toEqual(['a']);
    renameSync(`${root}.away`, root);
    writeFileSync(join(root, 'b'), 'b');
    share?.rescan();
    await becomes(['a', 'b']);
  });

  test('that has not changed is not read again, and what changed while nobody looked is', async () => {
    for (let file = 0; file < 50; file++) writeFileSync(join(root, `${file}`), `${file}`);
    await start().whenIdle();
    await share?.close();
    const before = index.listFiles('', 100);
    index.forgetChanges(index.counter);
    writeFileSync(join(root, '7'), 'seven');
    rmSync(join(root, '8'));
    await start().whenIdle();
    expect(
      index
        .changes(100)
        .map(({ path }) => path)
        .sort(),
    ).toEqual(['7', '8']);
    const after = new Map(index.listFiles('', 100).map(file => [file.path, file.stamp]));
    expect(before.filter(({ path, stamp }) => after.get(path) !== stamp).map(({ path }) => path)).toEqual(['7', '8']);
  });
});
