import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { TransferPhase } from '../../proto/gen/warren/peer/v1/peer.ts';
import { Network } from '../directory/network-of-processes.ts';
import { ownBroker } from '../support/broker.ts';
import { until } from '../support/until.ts';
import { sampleContent } from './parts/content.ts';
import { seen, sha256Of, startMembers } from './parts/member.ts';

const MiB = 2 ** 20;
const files = Array.from({ length: 16 }, (_, at) => `file ${at}.bin`);

test('a folder that was on its way when its receiver was killed comes whole after the start, without a directory', async () => {
  const network = await Network.start(await ownBroker({ management: true }));
  const [ann, bob] = await startMembers(network, 'ann', 'bob');
  if (ann === undefined || bob === undefined) throw new Error('they did not start');
  await mkdir(join(ann.share, 'trip'));
  for (const [at, name] of files.entries())
    await writeFile(join(ann.share, 'trip', name), sampleContent(2 * MiB, at + 10).bytes);
  const { found } = await until(
    () => bob.peer.search({ ...anything, words: 'trip' }),
    response => response.found.some(({ path, length }) => path === 'trip' && length === 32 * MiB),
    30_000,
  );
  const id = found.find(({ path }) => path === 'trip')?.fileId ?? '';
  await ann.peer.setLimits({ up: BigInt(8 * MiB) });
  const before = await seen(
    bob.peer.get({ what: id, to: 'got/trip', from: [] }),
    ({ verified }) => verified > 6 * MiB && verified < 20 * MiB,
  );
  await bob.kill();
  await network.directory[Symbol.asyncDispose]();
  await ann.peer.setLimits({ up: 0n });
  await bob.start();
  const { transfers } = await until(
    () => bob.peer.listTransfers({ withPast: true }),
    ({ transfers }) => transfers.some(({ state }) => state === TransferPhase.TRANSFER_PHASE_DONE),
    30_000,
  );
  // One, that is the same as before.
  expect(transfers).toMatchObject([
    { transferId: before.transferId, fileId: id, path: 'got/trip', verified: 32 * MiB, length: 32 * MiB },
  ]);
  expect((await readdir(join(bob.share, 'got/trip'))).sort()).toEqual([...files].sort());
  for (const name of files)
    expect(await sha256Of(join(bob.share, 'got/trip', name))).toBe(await sha256Of(join(ann.share, 'trip', name)));
  expect(await readdir(join(bob.share, '.warren/partial'))).toEqual([]);
}, 90_000);

const anything = { words: '', prefix: '', type: '', minLength: 0, maxLength: 0, limit: 0, after: '' };
