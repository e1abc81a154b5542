import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { Network, warren } from '../directory/network-of-processes.ts';
import { ownBroker } from '../support/broker.ts';
import { until } from '../support/until.ts';
import { sampleContent } from './parts/content.ts';
import { done, type Member, sha256Of, startMembers } from './parts/member.ts';

/** Told to the ring when it is told to the directory, or a moment later. */
async function isProvided(fileId: string, by: Member, seenBy: Member, isThere = true): Promise<void> {
  await until(
    () => seenBy.ring.providers({ fileId }).catch(() => ({ memberIds: isThere ? [] : [by.id as string] })),
    ({ memberIds }) => memberIds.includes(by.id) === isThere,
    30_000,
  );
}

test('with the directory killed, a file is found by its id over the ring, until it is shared no more; names say what they need', async () => {
  const broker = await ownBroker({ management: true });
  const network = await Network.start(broker);
  const [ann, bob, cid] = (await startMembers(network, 'ann', 'bob', 'cid')) as [Member, Member, Member];
  await writeFile(join(ann.share, 'over the ring.bin'), sampleContent(3 * 2 ** 20 + 7).bytes);
  // By somebody else: what bob is to find, nobody has told him before.
  const id = await cid.finds('ring');
  await isProvided(id, ann, cid);
  expect(await bob.get(id, { locate: 'ring', to: 'while it is there.bin' })).toMatchObject(done);
  await rm(join(bob.share, 'while it is there.bin'));
  await isProvided(id, bob, cid, false);

  await network.directory[Symbol.asyncDispose]();
  const startedAt = performance.now();
  const got = await bob.get(id);
  // Not after the directory's time is up.
  expect(performance.now() - startedAt).toBeLessThan(4_000);
  expect(got).toMatchObject({ ...done, path: 'over the ring.bin', sources: [{ memberId: ann.id }] });
  expect(await sha256Of(join(bob.share, got.path))).toBe(await sha256Of(join(ann.share, 'over the ring.bin')));
  await isProvided(id, bob, cid);

  await expect(bob.get('some other name')).rejects.toMatchObject({ code: 'PEER_NAMES' });
  const searched = await warren(['files', 'search', 'ring', '--data', bob.home]);
  expect(searched.code).toBe(8);
  expect(searched.err).toMatch(
    /^warren: names need the directory, which cannot be asked now \(.+\); by its id a file is found over the ring\n$/,
  );

  for (const { share } of [ann, bob]) await rm(join(share, 'over the ring.bin'));
  for (const member of [ann, bob]) await isProvided(id, member, cid, false);
  await expect(cid.get(id)).rejects.toMatchObject({ code: 'RING_FILE' });
}, 180_000);

test('a member that comes back, with the directory gone, finds over the ring what others have come to share meanwhile', async () => {
  const broker = await ownBroker({ management: true });
  const network = await Network.start(broker);
  const [ann, bob, cid] = (await startMembers(network, 'ann', 'bob', 'cid')) as [Member, Member, Member];
  await until(
    () => cid.ring.show({}),
    ({ nodes }) => nodes.length === 3,
    30_000,
  );
  await cid.kill();
  await network.directory[Symbol.asyncDispose]();
  await writeFile(join(ann.share, 'new.bin'), sampleContent(2 ** 20 + 1).bytes);
  const { files } = await until(
    () => ann.peer.listShared({ path: '', after: '', limit: 0 }),
    shared => shared.files.some(({ fileId }) => fileId !== ''),
    30_000,
  );
  const id = files[0]?.fileId ?? '';
  await isProvided(id, ann, bob);
  // Nobody names a member to it but whom it is told of.
  await cid.start(['--join', `127.0.0.1:${await portOf(bob)}`]);
  await until(
    () => cid.ring.show({}),
    ({ nodes }) => nodes.length === 3,
    30_000,
  );
  expect(await cid.get(id)).toMatchObject({ ...done, path: 'new.bin' });
  expect(await sha256Of(join(cid.share, 'new.bin'))).toBe(await sha256Of(join(ann.share, 'new.bin')));
}, 180_000);

async function portOf(member: Member): Promise<string> {
  return /port (\d+)$/.exec(await member.process.line(/serves members on port \d+$/))?.[1] ?? '';
}
