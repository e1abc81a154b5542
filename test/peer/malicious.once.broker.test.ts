import { existsSync } from 'node:fs';
import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { SourceState, type Transfer, TransferPhase } from '../../proto/gen/warren/peer/v1/peer.ts';
import { announcementOf } from '../../services/directory/client.ts';
import { encodeListing, type ListingEntry } from '../../services/peer/listing.ts';
import { contentIdOf, manifestOf } from '../../services/peer/merkle.ts';
import { framesOf, sourceOfBytes } from '../../services/peer/piece-source.ts';
import { sha256 } from '../../services/peer/sha256.ts';
import { Network } from '../directory/network-of-processes.ts';
import { ownBroker } from '../support/broker.ts';
import { until } from '../support/until.ts';
import { type SampleContent, sampleContent } from './parts/content.ts';
import { type Liar, type Swarm, startLiar } from './parts/liar.ts';
import { bytesFrom, done, type Member, sha256Of, startMembers } from './parts/member.ts';

/** Members that keep to nothing, among others that do: refused, named, no damage. */

const MiB = 2 ** 20;
const failed = { state: TransferPhase.TRANSFER_PHASE_FAILED };
let network: Network;
let [ann, bob]: Member[] = [];
let made = 0;

beforeAll(async () => {
  network = await Network.start(await ownBroker({ management: true }));
  [ann, bob] = await startMembers(network, 'ann', 'bob');
}, 120_000);
afterAll(async () => {
  await Promise.all([ann?.kill(), bob?.kill()]);
  await network?.close();
});

function honest(): [Member, Member] {
  if (ann === undefined || bob === undefined) throw new Error('they did not start');
  return [ann, bob];
}

/** Of ann, who is slow enough for the liar to be asked too. */
async function shared(): Promise<{ content: SampleContent; name: string }> {
  const [ann] = honest();
  const content = sampleContent(6 * MiB, 100 + made);
  const name = `true${made++}.bin`;
  await writeFile(join(ann.share, name), content.bytes);
  await ann.peer.setLimits({ up: BigInt(3 * MiB) });
  return { content, name };
}

/** Bob gets what ann and a liar have. */
async function pulledBeside(lies: (content: SampleContent) => Partial<Swarm>): Promise<{ got: Transfer; liar: Liar }> {
  const [ann, bob] = honest();
  const { content, name } = await shared();
  const liar = await startLiar(network, content, lies(content));
  await liar.announce(content.id, name, content.bytes.length);
  await until(
    () => bob.peer.locate({ fileId: content.id }).catch(() => undefined),
    located => located?.holders.length === 2,
    30_000,
  );
  const got = await bob.get(content.id);
  expect(got).toMatchObject({ ...done, verified: 6 * MiB });
  expect(await sha256Of(join(bob.share, name))).toBe(await sha256Of(join(ann.share, name)));
  expect(liar.asked()).toBeGreaterThan(0);
  return { got, liar };
}

function of({ sources }: Transfer, { keys }: Liar) {
  return sources.find(({ memberId }) => memberId === keys.id);
}

const holding = { isComplete: true, map: Buffer.alloc(0), added: [], coming: [], others: [] };

test.each<[string, (content: SampleContent) => Partial<Swarm>]>([
  [
    'other bytes',
    ({ bytes }) => ({
      fetchPieces: ({ runs }) => framesOf(sourceOfBytes(Buffer.alloc(bytes.length, 1)), runs, () => 256 * 1024),
    }),
  ],
  [
    'one byte that is another',
    ({ bytes }) => ({
      async *fetchPieces({ runs }) {
        const twisted = Buffer.from(bytes);
        for (let at = MiB - 1; at < twisted.length; at += MiB) twisted[at] = (twisted[at] ?? 0) ^ 1;
        yield* framesOf(sourceOfBytes(twisted), runs, () => 256 * 1024);
      },
    }),
  ],
  [
    'a piece that does not end',
    () => ({
      async *fetchPieces({ runs }) {
        for (let offset = 0; ; offset += 65_536)
          yield { piece: runs[0]?.first ?? 0, offset, data: Buffer.alloc(65_536) };
      },
    }),
  ],
  [
    'empty frames for ever',
    () => ({
      async *fetchPieces({ runs }) {
        for (;;) yield { piece: runs[0]?.first ?? 0, offset: 0, data: Buffer.alloc(0) };
      },
    }),
  ],
  [
    'a giant frame',
    () => ({
      async *fetchPieces({ runs }) {
        yield { piece: runs[0]?.first ?? 0, offset: 0, data: Buffer.alloc(4 * MiB - 1_000) };
      },
    }),
  ],
  [
    'another piece',
    ({ bytes }) => ({
      fetchPieces: ({ runs }) =>
        framesOf(sourceOfBytes(bytes), [{ first: ((runs[0]?.first ?? 0) + 1) % 6, count: 1 }], () => 256 * 1024),
    }),
  ],
])(
  'who sends %s is out for that file and named; the file comes from the other one',
  async (_, lies) => {
    const [, bob] = honest();
    const { got, liar } = await pulledBeside(lies);
    expect(of(got, liar)).toMatchObject({ state: SourceState.SOURCE_STATE_BANNED });
    expect(of(got, liar)?.detail).toMatch(/sent something else for piece \d/);
    expect(bob.process.lines.join('\n')).toContain(`member ${liar.keys.id} is out for`);
  },
  60_000,
);

test('who never sends anything, or more news than can be read, only costs time', async () => {
  const [ann] = honest();
  const many = Array.from({ length: 20_000 }, (_, first) => ({ first, count: 1_000_000 }));
  const { got } = await pulledBeside(() => ({
    async *fetchPieces(_request, { signal }) {
      await new Promise(resolve => signal.addEventListener('abort', resolve));
    },
    async *watchPieceMap(_request, { signal }) {
      yield { holding };
      while (!signal.aborted) {
        await new Promise(resolve => setImmediate(resolve));
        yield { holding: { ...holding, added: many, coming: many, others: Array(5_000).fill('f'.repeat(64)) } };
      }
    },
  }));
  expect(bytesFrom(got, ann)).toBe(6 * MiB);
}, 60_000);

test('a false manifest is refused before anything of it is kept, and who alone has it is named', async () => {
  const [, bob] = honest();
  const [wanted, other] = [sampleContent(3 * MiB, 50), sampleContent(3 * MiB, 51)];
  const lies: Partial<Swarm>[] = [
    {
      getManifest: async () => ({
        ...{
          kind: 1,
          length: 3 * MiB,
          partRoots: Buffer.from(other.head.partRoots),
          leaves: Buffer.from(other.leaves),
        },
      }),
    },
    {
      getManifest: async () => ({
        ...{
          kind: 1,
          length: 3 * MiB,
          partRoots: Buffer.from(wanted.head.partRoots),
          leaves: Buffer.from(other.leaves),
        },
      }),
    },
    {
      getManifest: async () => ({
        ...{ kind: 1, length: 2 ** 52, partRoots: Buffer.alloc(3 * MiB), leaves: Buffer.alloc(0) },
      }),
    },
  ];
  for (const lie of lies) {
    const liar = await startLiar(network, wanted, lie);
    await liar.announce(wanted.id, 'wanted.bin', 3 * MiB);
    await bob.finds('wanted');
    const got = await bob.get(wanted.id, { from: [liar.keys.id] });
    expect(got).toMatchObject({ ...failed, reason: 'BANNED', verified: 0 });
    expect(of(got, liar)).toMatchObject({ state: SourceState.SOURCE_STATE_BANNED });
    expect(liar.asked()).toBe(0);
    await liar.announce('0'.repeat(64), 'wanted.bin', 1);
  }
  expect(existsSync(join(bob.share, 'wanted.bin'))).toBe(false);
}, 90_000);

/** As an honest program would not write it. */
function listingOf(entries: readonly ListingEntry[]): SampleContent {
  const bytes = Buffer.from(encodeListing(entries));
  const { head, leaves } = manifestOf(sha256, 'folder', bytes);
  return { bytes, head, leaves, id: contentIdOf(sha256, head), piece: () => bytes };
}

test('no folder leads out of the share, nor says of its files what they are not', async () => {
  const [, bob] = honest();
  const small = sampleContent(10, 60);
  const file = { kind: 'file', size: 10, id: small.id } as const;
  const before = await readdir(bob.home);
  for (const name of ['..', '../evil', '/evil', 'a/../../evil', '.warren', 'evil\u0000', 'evil\n', '']) {
    const listing = listingOf([
      { ...file, name: 'a good one' },
      { ...file, name },
    ]);
    const liar = await startLiar(network, listing, {});
    const got = await bob.get(listing.id, { to: 'their folder', from: [liar.keys.id] });
    expect(got, JSON.stringify(name)).toMatchObject({ ...failed, reason: 'LISTING' });
  }
  const lying = listingOf([{ ...file, name: 'small', size: 11 }]);
  const liar = await startLiar(network, lying, {
    getManifest: async ({ fileId }) => {
      const { head, leaves } = fileId === small.id ? small : lying;
      return {
        ...{ kind: fileId === small.id ? 1 : 2, length: head.length },
        ...{ partRoots: Buffer.from(head.partRoots), leaves: Buffer.from(leaves) },
      };
    },
  });
  expect(await bob.get(lying.id, { to: 'their folder', from: [liar.keys.id] })).toMatchObject({
    ...{ ...failed, reason: 'LISTING' },
  });
  expect(await readdir(bob.home)).toEqual(before);
  expect(await readdir(join(bob.share, 'their folder')).catch(() => [])).toEqual([]);
}, 120_000);

test('what others announced, said again by somebody else, changes nothing', async () => {
  const [ann, bob] = honest();
  const { content, name } = await shared();
  const id = await bob.finds(name);
  const liar = await startLiar(network, content, {});
  const foreign = announcementOf(
    { ...liar.keys, publicKey: Buffer.alloc(32, 7) },
    { counter: 9_999, files: [], removed: [name], snapshot: undefined },
  );
  await liar.bus.publish(foreign);
  await network.directory.line(new RegExp(`dropped an announcement of .*${liar.keys.id}`));
  const { holders } = await bob.peer.locate({ fileId: id });
  expect(holders.map(({ memberId }) => memberId)).toEqual([ann.id]);
}, 60_000);
