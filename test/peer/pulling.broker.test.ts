import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { Network } from '../directory/network-of-processes.ts';
import { ownBroker } from '../support/broker.ts';
import { sampleContent } from './parts/content.ts';
import { done, Member, sha256Of } from './parts/member.ts';

test('what one shares, another finds, gets, and has byte for byte', async () => {
  const network = await Network.start(await ownBroker({ management: true }));
  const [ann, bob] = await Promise.all(['ann', 'bob'].map(name => Member.join(network, name)));
  await Promise.all([ann?.start(), bob?.start()]);
  if (ann === undefined || bob === undefined) throw new Error('two');
  await writeFile(join(ann.share, 'holiday plan.bin'), sampleContent(5 * 2 ** 20 + 123).bytes);
  const id = await bob.finds('holi');
  const got = await bob.get(id);
  expect(got, `${got.detail}\n${bob.process.lines.join('\n')}`).toMatchObject({
    ...done,
    path: 'holiday plan.bin',
    verified: 5 * 2 ** 20 + 123,
  });
  expect(await sha256Of(join(bob.share, 'holiday plan.bin'))).toBe(await sha256Of(join(ann.share, 'holiday plan.bin')));
}, 120_000);
