import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import type { Network } from '../../directory/network-of-processes.ts';
import { patternedBlock } from '../../support/patterned.ts';
import { until } from '../../support/until.ts';
import { done, type Member, sha256Of, startMembers } from './member.ts';

const MiB = 2 ** 20;

/** Ten pull one file at once from one who has it. @returns how often that one sent each piece, on the average */
export async function swarmOfTen(network: Network, mebibytes: number): Promise<number> {
  const [seeder, ...others] = await startMembers(
    network,
    'seeder',
    ...Array.from({ length: 10 }, (_, at) => `puller${at}`),
  );
  if (seeder === undefined) throw new Error('nobody');
  try {
    const path = join(seeder.share, 'wanted.bin');
    const file = await open(path, 'w');
    for (let at = 0; at < mebibytes; at++) await file.write(patternedBlock(at));
    await file.close();
    const id = await others[0]?.finds('wanted');
    if (id === undefined) throw new Error('not found');
    await until(
      () => Promise.all(others.map(other => other.peer.locate({ fileId: id }))),
      all => all.every(({ holders }) => holders.length > 0),
    );
    const got = await Promise.all(others.map(other => other.get(id)));
    const wanted = await sha256Of(path);
    for (const [at, other] of others.entries()) {
      expect(got[at]).toMatchObject({ ...done, verified: mebibytes * MiB });
      expect(await sha256Of(join(other.share, 'wanted.bin'))).toBe(wanted);
    }
    const sent = got.reduce((sum, { sources }) => sum + bytesOf(sources, seeder), 0);
    return sent / (mebibytes * MiB);
  } finally {
    await Promise.all([seeder, ...others].map(member => member.kill()));
  }
}

function bytesOf(sources: readonly { memberId: string; bytes: number }[], { id }: Member): number {
  return sources.find(({ memberId }) => memberId === id)?.bytes ?? 0;
}
