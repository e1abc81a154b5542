import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Network } from '../directory/network-of-processes.ts';
import { ownBroker } from '../support/broker.ts';
import { until } from '../support/until.ts';
import { sampleContent } from './parts/content.ts';
import { done, type Member, sha256Of, startMembers } from './parts/member.ts';

let network: Network;
let members: Member[] = [];

beforeAll(async () => {
  network = await Network.start(await ownBroker({ management: true }));
  members = await startMembers(network, 'ann', 'bob', 'cid');
}, 120_000);
afterAll(async () => {
  await Promise.all(members.map(member => member.kill()));
  await network?.close();
});

test('with the directory stopped, a file is found by its id over the ring, and names say what they need', async () => {
  const [ann, bob, cid] = members as [Member, Member, Member];
  await writeFile(join(ann.share, 'over the ring.bin'), sampleContent(3 * 2 ** 20 + 7).bytes);
  // By somebody else: what bob is to find, nobody has told him before.
  const id = await cid.finds('ring');
  // Told to the ring when it is told to the directory, or a moment later.
  await until(
    () => cid.ring.providers({ fileId: id }).catch(() => ({ memberIds: [] as string[] })),
    ({ memberIds }) => memberIds.includes(ann.id),
    20_000,
  );
  await network.directory[Symbol.asyncDispose]();
  const got = await bob.get(id);
  expect(got).toMatchObject({ ...done, sources: [{ memberId: ann.id }] });
  expect(await sha256Of(join(bob.share, got.path))).toBe(await sha256Of(join(ann.share, 'over the ring.bin')));
  await expect(bob.get('some other name')).rejects.toMatchObject({ code: 'PEER_NAMES' });
  await rm(join(ann.share, 'over the ring.bin'));
}, 120_000);
