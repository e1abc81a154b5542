import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type SmallContent, TransferPhase } from '../../proto/gen/warren/peer/v1/peer.ts';
import type { MemberLink } from '../../services/bus/hosted.ts';
import type { MemberId } from '../../services/lib/identity/member-id.ts';
import { CallFailure } from '../../services/lib/rpc/call-failure.ts';
import type { Caller } from '../../services/lib/rpc/definition.ts';
import { ContentIndex } from '../../services/peer/content-index.ts';
import { Contents } from '../../services/peer/contents.ts';
import { Download } from '../../services/peer/download.ts';
import { Limits } from '../../services/peer/limits.ts';
import type { ContentId } from '../../services/peer/merkle.ts';
import type { Offers } from '../../services/peer/offers.ts';
import { Pulls } from '../../services/peer/pulls.ts';
import { Share } from '../../services/peer/share.ts';
import type { SharePath } from '../../services/peer/share-path.ts';
import { createSwarm } from '../../services/peer/swarm-service.ts';
import { Swarms } from '../../services/peer/swarms.ts';
import { UnfinishedDownloads } from '../../services/peer/unfinished.ts';
import { until } from '../support/until.ts';

const [ann, bob] = ['a'.repeat(64) as MemberId, 'b'.repeat(64) as MemberId];
const clock = (): number => performance.now();
const never = new AbortController().signal;
let dir: string;
let ends: (() => unknown)[];

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'warren-small-'));
  ends = [() => rmSync(dir, { recursive: true, force: true })];
});

afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

type Swarm = ReturnType<typeof createSwarm>;

/** A member that shares these files. */
async function sharing(files: Readonly<Record<string, string | Buffer>>) {
  const root = join(dir, 'ann');
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), content);
  }
  const index = new ContentIndex(join(dir, 'ann-data'));
  const share = new Share(
    { root, index, indexDir: join(dir, 'ann-data'), onChange: () => {}, onProblem: () => {} },
    { settleMs: 0, rescanMs: 0 },
  );
  ends.push(() => index.close());
  ends.push(() => share.close());
  await share.whenIdle();
  const contents = new Contents({ root, index, onChanged: () => {} });
  const [swarms, limits] = [new Swarms(contents, clock), new Limits(index, clock)];
  ends.push(() => swarms.close());
  return { root, index, limits, swarm: createSwarm({ contents, swarms, limits, offers: {} as Offers, clock }) };
}

/** Another one, who reaches that swarm and nobody else. */
function pulling(swarm: Swarm, id: ContentId) {
  const root = join(dir, 'bob');
  mkdirSync(root, { recursive: true });
  const index = new ContentIndex(join(dir, 'bob-data'));
  ends.push(() => index.close());
  const calls: string[] = [];
  const warnings: string[] = [];
  const client = Object.fromEntries(
    Object.entries(swarm).map(([name, method]) => [
      name,
      (request: never, { signal = never }: { signal?: AbortSignal } = {}) => {
        calls.push(name);
        return (method as (request: never, caller: Caller) => unknown)(request, {
          address: 'bob',
          memberId: bob,
          signal,
        });
      },
    ]),
  );
  const link = { memberId: ann, way: 'direct', client: () => client } as unknown as MemberLink;
  const away = async (): Promise<never> => {
    throw new CallFailure('UNAVAILABLE', 'AWAY', 'nobody answers');
  };
  const needs = {
    host: {
      ...{ id: bob, dial: async () => link, clock, now: Date.now, random: Math.random },
      warn: (line: string) => void warnings.push(line),
    },
    place: { root, index, unfinished: new UnfinishedDownloads(index) },
    contents: new Contents({ root, index, onChanged: () => {} }),
    locator: { known: () => [], locate: away, find: away, contactOf: async () => undefined },
    limits: new Limits(index, clock),
  };
  const download = (): Download =>
    new Download(
      { ...needs, pulls: new Pulls(needs), platform: 'posix', onChange: () => {}, onSteered: () => {} },
      {
        ...{ id, path: 'got' as SharePath, transferId: 'transfer' },
        from: [{ memberId: ann, name: 'ann', addresses: [] }],
      },
    );
  return { root, index, calls, warnings, limits: needs.limits, download };
}

function filesBelow(folder: string): Record<string, string> {
  const names = readdirSync(folder, { recursive: true, withFileTypes: true }).filter(entry => entry.isFile());
  return Object.fromEntries(
    names.map(({ parentPath, name }) => {
      const path = join(parentPath, name);
      return [path.slice(folder.length + 1), readFileSync(path).toString('latin1')];
    }),
  );
}

const many = Object.fromEntries(
  Array.from({ length: 600 }, (_, at) => [`docs/${at % 7}/${at}.txt`, `file ${at} ${'x'.repeat(at)}`]),
);

test('a folder of hundreds of small files comes in a few calls, and is in the index as what was shared', async () => {
  const big = Buffer.alloc(3 * 2 ** 20, 7);
  const one = await sharing({ ...many, 'docs/empty': '', 'docs/twice': 'file 1 x', 'docs/big': big });
  const id = one.index.factsOf('docs')?.id as ContentId;
  const other = pulling(one.swarm, id);
  expect(await other.download().done).toMatchObject({
    state: TransferPhase.TRANSFER_PHASE_DONE,
    length: one.index.factsOf('docs')?.length,
    verified: one.index.factsOf('docs')?.length,
    sources: [{ memberId: ann }],
  });
  expect(filesBelow(join(other.root, 'got'))).toEqual(filesBelow(join(one.root, 'docs')));
  expect(other.index.listFiles('', 1_000)).toHaveLength(603);
  expect(other.index.filesOf(one.index.findFile('docs/3/3.txt')?.id as ContentId)).toMatchObject([
    { path: 'got/3/3.txt' },
  ]);
  expect(other.calls.filter(name => name === 'fetchSmall').length).toBeLessThan(12);
  // The folder itself, and what is large.
  expect(other.calls.filter(name => name === 'getManifest')).toHaveLength(2);
  expect(readdirSync(join(other.root, '.warren/partial'))).toEqual([]);
});

test('what a member leaves out, or sends wrong, comes the ordinary way, and who sent it is named', async () => {
  const one = await sharing(many);
  const id = one.index.factsOf('docs')?.id as ContentId;
  const lying: Swarm = {
    ...one.swarm,
    async *fetchSmall(request, caller) {
      let seen = 0;
      for await (const { contents } of one.swarm.fetchSmall(request, caller)) {
        const some = contents.filter(({ number }) => number % 5 > 0);
        seen += some.length;
        const [first] = some;
        if (seen > 100 && first !== undefined) some[0] = { number: first.number, data: Buffer.from('wrong') };
        yield { contents: some };
      }
    },
  };
  const other = pulling(lying, id);
  expect(await other.download().done).toMatchObject({ state: TransferPhase.TRANSFER_PHASE_DONE });
  expect(filesBelow(join(other.root, 'got'))).toEqual(filesBelow(join(one.root, 'docs')));
  expect(other.warnings).toEqual([expect.stringMatching(`member ${ann} is out for small files`)]);
}, 60_000);

test.each([
  ['a number twice', (contents: SmallContent[]) => [...contents, ...contents]],
  ['a number that was not asked for', (contents: SmallContent[]) => contents.map(each => ({ ...each, number: 700 }))],
  ['more than a piece', () => [{ number: 0, data: Buffer.alloc(2 ** 20 + 1) }]],
])('%s is refused', async (_, change) => {
  const one = await sharing({ 'docs/a': 'a', 'docs/b': 'b' });
  const id = one.index.factsOf('docs')?.id as ContentId;
  const lying: Swarm = {
    ...one.swarm,
    async *fetchSmall(request, caller) {
      for await (const { contents } of one.swarm.fetchSmall(request, caller)) yield { contents: change(contents) };
    },
  };
  const other = pulling(lying, id);
  expect(await other.download().done).toMatchObject({ state: TransferPhase.TRANSFER_PHASE_DONE });
  expect(filesBelow(join(other.root, 'got'))).toEqual({ a: 'a', b: 'b' });
  expect(other.warnings).toHaveLength(1);
});

test('paused in the middle it asks nobody; resumed, it brings the rest, and nothing twice', async () => {
  const one = await sharing(many);
  const id = one.index.factsOf('docs')?.id as ContentId;
  const other = pulling(one.swarm, id);
  other.limits.set({ down: 100_000 });
  const download = other.download();
  await until(
    () => other.index.totals().files,
    files => files > 50,
  );
  download.pause();
  expect(download.view()).toMatchObject({ state: TransferPhase.TRANSFER_PHASE_PAUSED });
  // What had come is placed.
  await until(
    () => readdirSync(join(other.root, '.warren/partial')),
    names => names.length === 0,
  );
  const { files } = other.index.totals();
  const calls = other.calls.length;
  expect(files).toBeLessThan(600);
  other.limits.set({ down: 0 });
  download.resume();
  expect(await download.done).toMatchObject({ state: TransferPhase.TRANSFER_PHASE_DONE });
  expect(other.calls.length).toBeGreaterThan(calls);
  expect(filesBelow(join(other.root, 'got'))).toEqual(filesBelow(join(one.root, 'docs')));
}, 60_000);

test('after a crash between name and index it is the same file, and not a second one', async () => {
  const one = await sharing({ 'docs/a': 'a', 'docs/b': 'b' });
  const id = one.index.factsOf('docs')?.id as ContentId;
  const other = pulling(one.swarm, id);
  mkdirSync(join(other.root, 'got'));
  writeFileSync(join(other.root, 'got/a'), 'a');
  writeFileSync(join(other.root, 'got/b'), 'B');
  expect(await other.download().done).toMatchObject({ state: TransferPhase.TRANSFER_PHASE_DONE });
  expect(filesBelow(join(other.root, 'got'))).toEqual({ a: 'a', b: 'B', 'b (2)': 'b' });
});

test('more ids than a call may have are refused', async () => {
  const { swarm } = await sharing({ a: 'a' });
  const ids = Array.from({ length: 257 }, () => 'a'.repeat(64));
  const asking = swarm.fetchSmall({ ids, transferId: '' }, { address: 'bob', memberId: bob, signal: never });
  await expect(asking[Symbol.asyncIterator]().next()).rejects.toMatchObject({ code: 'PEER_REQUEST' });
});
