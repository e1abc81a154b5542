import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { claim } from '../../services/lib/claim.ts';

async function claimFile(): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'warren-claim-'));
  onTestFinished(() => rm(dir, { recursive: true }));
  return join(dir, 'owner');
}

test('of several that claim at once one gets it, and the others learn who has it', async () => {
  const file = await claimFile();
  const claims = await Promise.all(Array.from({ length: 8 }, () => claim(file)));
  const [winner, ...more] = claims.flatMap(each => ('release' in each ? [each] : []));
  expect(more).toEqual([]);
  expect(claims.filter(each => 'heldBy' in each && each.heldBy === process.pid)).toHaveLength(7);
  await winner?.release();
  expect(await claim(file)).toHaveProperty('release');
});

test('a claim of a process that is gone counts for nothing, for one of many', async () => {
  const file = await claimFile();
  const child = spawn('true');
  await once(child, 'exit');
  await writeFile(file, `${child.pid} 12345\n`);
  const claims = await Promise.all(Array.from({ length: 8 }, () => claim(file)));
  expect(claims.filter(each => 'release' in each)).toHaveLength(1);
  expect(await readdir(join(file, '..'))).toEqual(['owner']);
});

test('a claim of a process whose id is another one by now counts for nothing', async () => {
  const file = await claimFile();
  await writeFile(file, `${process.pid} 1\n`);
  expect(await claim(file)).toHaveProperty('release');
});
