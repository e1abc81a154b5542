import { randomBytes } from 'node:crypto';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { TransferPhase } from '../../proto/gen/warren/peer/v1/peer.ts';
import { Network } from '../directory/network-of-processes.ts';
import { ownBroker } from '../support/broker.ts';
import { until } from '../support/until.ts';
import { sampleContent } from './parts/content.ts';
import { bytesFrom, done, type Member, seen, sha256Of, startMembers } from './parts/member.ts';

const MiB = 2 ** 20;
let network: Network;
let [ann, bob, cid]: Member[] = [];

beforeAll(async () => {
  network = await Network.start(await ownBroker({ management: true }));
  [ann, bob, cid] = await startMembers(network, 'ann', 'bob', 'cid');
}, 120_000);
afterAll(async () => {
  await Promise.all(members().map(member => member.kill()));
  await network?.close();
});

function members(): [Member, Member, Member] {
  if (ann === undefined || bob === undefined || cid === undefined) throw new Error('they did not start');
  return [ann, bob, cid];
}

async function sameFile(one: Member, other: Member, path: string, at = path): Promise<void> {
  expect(await sha256Of(join(other.share, at))).toBe(await sha256Of(join(one.share, path)));
}

test('what one shares, another finds by its name, gets, has byte for byte, and is known to have', async () => {
  const [ann, bob, cid] = members();
  await writeFile(join(ann.share, 'holiday plan.bin'), sampleContent(5 * MiB + 123).bytes);
  const id = await bob.finds('holi');
  expect(await bob.get('holiday plan.bin')).toMatchObject({
    ...{ ...done, fileId: id, path: 'holiday plan.bin', length: 5 * MiB + 123, verified: 5 * MiB + 123 },
    sources: [{ memberId: ann.id, name: 'ann', isRelayed: false, bytes: 5 * MiB + 123 }],
  });
  await sameFile(ann, bob, 'holiday plan.bin');
  const holders = () => cid.peer.locate({ fileId: id });
  const known = await until(holders, each => each.holders.length === 2);
  expect(new Set(known.holders.map(({ memberId }) => memberId))).toEqual(new Set([ann.id, bob.id]));
  // Again, it is there already.
  expect(await bob.get(id)).toMatchObject({ ...done, path: 'holiday plan.bin', sources: [] });
  await expect(bob.get('no such file')).rejects.toMatchObject({ status: 'NOT_FOUND' });
}, 60_000);

test('a folder comes with all that is in it, empty files too', async () => {
  const [ann, bob] = members();
  await mkdir(join(ann.share, 'trip/day one'), { recursive: true });
  const contents = new Map([
    ['trip/a.txt', Buffer.from('a')],
    ['trip/empty', Buffer.alloc(0)],
    ['trip/ünïcode 夏.txt', Buffer.from('b')],
    ['trip/day one/large', randomBytes(3 * MiB)],
    ['trip/day one/the same', Buffer.from('a')],
  ]);
  for (const [path, bytes] of contents) await writeFile(join(ann.share, path), bytes);
  await bob.finds('large');
  const folder = () => bob.peer.search({ ...anything, words: 'trip' });
  const { found } = await until(folder, seen =>
    seen.found.some(({ path, length }) => path === 'trip' && length > 3 * MiB),
  );
  const { fileId = '', length } = found.find(({ path }) => path === 'trip') ?? {};
  expect(await bob.get(fileId)).toMatchObject({ ...done, path: 'trip', length, verified: length });
  for (const [path, bytes] of contents) expect(await readFile(join(bob.share, path)), path).toEqual(bytes);
}, 60_000);

test('a receiver that is killed half way goes on from there when it is asked again', async () => {
  const [ann, bob] = members();
  const size = 48 * MiB;
  await writeFile(join(ann.share, 'long.bin'), sampleContent(size, 2).bytes);
  const id = await bob.finds('long');
  await ann.peer.setLimits({ up: BigInt(8 * MiB) });
  await seen(bob.peer.get({ what: id, to: '', from: [] }), ({ verified }) => verified > 28 * MiB);
  await bob.kill();
  await ann.peer.setLimits({ up: 0n });
  await bob.start();
  const got = await bob.get(id);
  expect(got).toMatchObject({ ...done, verified: size });
  // How far it was is noted every two seconds.
  expect(bytesFrom(got, ann)).toBeLessThan(36 * MiB);
  expect(bytesFrom(got, ann)).toBeGreaterThan(0);
  await sameFile(ann, bob, 'long.bin');
}, 60_000);

test('several give, and one of them can go; paused, nothing comes', async () => {
  const [ann, bob, cid] = members();
  const size = 40 * MiB;
  const { bytes } = sampleContent(size, 3);
  for (const member of [ann, bob]) {
    await writeFile(join(member.share, 'many.bin'), bytes);
    await member.peer.setLimits({ up: BigInt(6 * MiB) });
  }
  const id = await cid.finds('many');
  await until(
    () => cid.peer.locate({ fileId: id }),
    ({ holders }) => holders.length === 2,
  );
  const both = await seen(
    cid.peer.get({ what: id, to: '', from: [] }),
    view => bytesFrom(view, ann) > 3 * MiB && bytesFrom(view, bob) > 3 * MiB,
  );
  const { transferId } = both;
  await cid.peer.pause({ transferId });
  const paused = await seen(cid.peer.watchTransfers({}), ({ state }) => state === TransferPhase.TRANSFER_PHASE_PAUSED);
  await bob.kill();
  const { transfer } = await cid.peer.resume({ transferId });
  expect((transfer?.verified ?? 0) - paused.verified).toBeLessThan(2 * MiB);
  await ann.peer.setLimits({ up: 0n });
  expect(await cid.get(id)).toMatchObject({ ...done, transferId, verified: size });
  await sameFile(ann, cid, 'many.bin');
  await bob.start();
  await bob.peer.setLimits({ up: 0n });
}, 60_000);

test('an upload: another one, that the directory names, takes the file and says so', async () => {
  const [ann, bob, cid] = members();
  await writeFile(join(ann.share, 'gift.bin'), sampleContent(3 * MiB + 1, 4).bytes);
  await bob.finds('gift');
  const put = await ann.put('gift.bin');
  expect(put).toMatchObject({ ...done, verified: 3 * MiB + 1 });
  const [to] = put.sources;
  const taker = [bob, cid].find(({ id }) => id === to?.memberId);
  if (taker === undefined) throw new Error('nobody took it');
  await sameFile(ann, taker, 'gift.bin');
  expect((await taker.peer.getLimits({})).limits?.offerUsed).toBe(3 * MiB + 1);
  // A folder too; and one that has no room for more refuses.
  expect(await ann.put('trip', [cid.id])).toMatchObject(done);
  await sameFile(ann, cid, 'trip/day one/large');
  await cid.peer.setLimits({ offerQuota: 0n });
  await rm(join(cid.share, 'gift.bin'), { force: true });
  await writeFile(join(ann.share, 'other.bin'), 'x');
  await bob.finds('other');
  expect(await ann.put('other.bin', [cid.id])).toMatchObject({
    state: TransferPhase.TRANSFER_PHASE_FAILED,
    reason: 'POLICY',
  });
}, 60_000);

test('with the directory away, what is known still moves, and what changed meanwhile is told when it is back', async () => {
  const [ann, bob, cid] = members();
  await writeFile(join(ann.share, 'known.bin'), sampleContent(2 * MiB, 5).bytes);
  const id = await bob.finds('known');
  await bob.peer.locate({ fileId: id });
  await network.directory[Symbol.asyncDispose]();
  expect(await bob.get(id)).toMatchObject(done);
  await sameFile(ann, bob, 'known.bin');
  // One that was told of nobody, by who has it.
  expect(await cid.get(id, { to: 'known.bin', from: [bob.id] })).toMatchObject({
    ...done,
    sources: expect.arrayContaining([expect.objectContaining({ memberId: bob.id })]),
  });
  await writeFile(join(cid.share, 'meanwhile.txt'), 'told later');
  await network.startDirectory();
  await bob.finds('meanwhile');
  const { holders } = await until(
    () => cid.peer.locate({ fileId: id }),
    each => each.holders.length === 2,
    30_000,
  );
  expect(new Set(holders.map(({ memberId }) => memberId))).toEqual(new Set([ann.id, bob.id]));
}, 90_000);

test('limits and transfers outlive a restart; a removed file is gone for all', async () => {
  const [ann, bob] = members();
  await bob.peer.setLimits({ up: 5n * 2n ** 20n, down: 7n * 2n ** 20n });
  await bob.kill();
  await bob.start();
  expect((await bob.peer.getLimits({})).limits).toMatchObject({ up: 5 * MiB, down: 7 * MiB });
  await bob.peer.setLimits({ up: 0n, down: 0n });
  await writeFile(join(ann.share, 'fleeting.txt'), 'here today');
  const id = await bob.finds('fleeting');
  await ann.peer.remove({ path: 'fleeting.txt' });
  await until(
    () => bob.peer.locate({ fileId: id }).catch(error => error),
    answer => answer.status === 'NOT_FOUND',
  );
  const outside = join(ann.home, 'outside.txt');
  await writeFile(outside, 'shared by its owner');
  expect(await ann.peer.share({ from: outside, to: 'inside.txt' })).toEqual({ path: 'inside.txt' });
  await bob.finds('inside');
  for (const path of ['../outside.txt', '/etc/passwd', 'a/../../b'])
    await expect(ann.peer.remove({ path })).rejects.toMatchObject({ status: 'INVALID_ARGUMENT' });
  expect(await readFile(outside, 'utf8')).toBe('shared by its owner');
}, 60_000);

const anything = { words: '', prefix: '', type: '', minLength: 0, maxLength: 0, limit: 0, after: '' };
