import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { prepareSamples, sampleSets } from '../../services/member/samples.ts';
import { temporaryDir } from '../support/broker.ts';

test('each member gets samples of its own, and one that all have; never over what is there', async () => {
  const home = await temporaryDir();
  const own = await Promise.all(sampleSets.map((_, at) => prepareSamples(join(home, String(at)), at)));
  for (const [at, names] of own.entries()) {
    expect(await readdir(join(home, String(at)))).toEqual(names);
    expect(names).toHaveLength(2);
    expect(names).toContain('welcome.txt');
  }
  const welcomes = await Promise.all(own.map((_, at) => readFile(join(home, String(at), 'welcome.txt'), 'utf8')));
  expect(new Set(welcomes).size).toBe(1);
  expect(new Set(own.flat()).size).toBe(4);

  const mine = join(home, '0', 'welcome.txt');
  await writeFile(mine, 'mine');
  await prepareSamples(join(home, '0'));
  expect(await readFile(mine, 'utf8')).toBe('mine');
});
