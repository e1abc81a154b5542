import { execFile } from 'node:child_process';
import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, onTestFinished, test } from 'vitest';
import { TransferPhase } from '../../proto/gen/warren/peer/v1/peer.ts';
import { Network } from '../directory/network-of-processes.ts';
import { ownBroker } from '../support/broker.ts';
import { sampleContent } from './parts/content.ts';
import { done, Member, seen, sha256Of } from './parts/member.ts';

const run = promisify(execFile);
const MiB = 2 ** 20;
const canMount = process.platform === 'linux' && process.getuid?.() === 0;

test.skipIf(!canMount)(
  'a full disk holds a download, says why, and lets it go on when there is room',
  async () => {
    const network = await Network.start(await ownBroker({ management: true }));
    const [ann, bob] = await Promise.all([Member.join(network, 'ann'), Member.join(network, 'bob')]);
    await run('mount', ['-t', 'tmpfs', '-o', 'size=24m', 'warren-test', bob.share]);
    onTestFinished(async () => {
      await bob.kill();
      await run('umount', ['-l', bob.share]);
    });
    await Promise.all([ann.start(), bob.start()]);
    await writeFile(join(ann.share, 'wide.bin'), sampleContent(32 * MiB).bytes);
    const id = await bob.finds('wide');
    const isHeld = ({ state, reason }: { state: number; reason: string }) =>
      state === TransferPhase.TRANSFER_PHASE_HELD && reason === 'DISK_FULL';
    // There is not enough room from the start.
    const held = await seen(bob.peer.get({ what: id, to: '', from: [] }), isHeld);
    expect(held.detail).toMatch(/disk/);
    expect(await readdir(bob.share)).toEqual(['.warren']);
    await run('mount', ['-o', 'remount,size=48m', bob.share]);
    expect(await bob.get(id)).toMatchObject({ ...done, verified: 32 * MiB });
    expect(await sha256Of(join(bob.share, 'wide.bin'))).toBe(await sha256Of(join(ann.share, 'wide.bin')));

    // And it can become full while it comes.
    await writeFile(join(ann.share, 'long.bin'), sampleContent(12 * MiB, 2).bytes);
    const other = await bob.finds('long');
    await ann.peer.setLimits({ up: BigInt(2 * MiB) });
    await seen(bob.peer.get({ what: other, to: '', from: [] }), ({ verified }) => verified > 2 * MiB);
    await writeFile(join(bob.share, 'filler.tmp'), Buffer.alloc(48 * MiB)).catch(() => {});
    await seen(bob.peer.get({ what: other, to: '', from: [] }), isHeld);
    await bob.peer.remove({ path: 'filler.tmp' });
    await ann.peer.setLimits({ up: 0n });
    expect(await bob.get(other)).toMatchObject({ ...done, verified: 12 * MiB });
    expect(await sha256Of(join(bob.share, 'long.bin'))).toBe(await sha256Of(join(ann.share, 'long.bin')));
  },
  120_000,
);
