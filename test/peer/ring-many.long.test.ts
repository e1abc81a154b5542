import { readFileSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { Network } from '../directory/network-of-processes.ts';
import { temporaryDir } from '../support/broker.ts';
import { startEmbeddedProcess } from '../support/embedded-process.ts';
import { until } from '../support/until.ts';
import { type Member, startMembers } from './parts/member.ts';

const files = 10_000;

/** CPU milliseconds that a process has used. */
function cpuMs({ process: { child } }: Member): number {
  const [, rest = ''] = readFileSync(`/proc/${child.pid}/stat`, 'utf8').split(') ');
  const fields = rest.split(' ');
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

test('10,000 files are told to the ring while the daemon answers its owner, and are kept there at a small part of a core', async () => {
  const broker = await startEmbeddedProcess({ dir: await temporaryDir(), user: 'test', password: 'test' });
  const network = await Network.start(broker);
  const [ann, bob] = (await startMembers(network, 'ann', 'bob', 'cid')) as [Member, Member, Member];
  await until(
    () => bob.ring.show({}),
    ({ nodes }) => nodes.length === 3,
    30_000,
  );
  const folder = join(ann.share, 'many');
  await mkdir(folder);
  for (let at = 0; at < files; at++) await writeFile(join(folder, `${at}.txt`), `file number ${at}`);
  const writtenAt = performance.now();
  const answers: number[] = [];
  let isTold = false;
  const asking = (async () => {
    while (!isTold) {
      const askedAt = performance.now();
      await ann.peer.listTransfers({ withPast: false });
      answers.push(performance.now() - askedAt);
      await wait(20);
    }
  })();
  const told = await until(
    () => bob.ring.show({}),
    ({ view }) => (view?.records ?? 0) >= files + 1,
    300_000,
  );
  const toldMs = performance.now() - writtenAt;
  isTold = true;
  await asking;
  answers.sort((one, other) => one - other);
  const at = (share: number): number => Math.round(answers[Math.floor((answers.length - 1) * share)] ?? 0);
  // It has settled: what the upkeep costs, over the six comparisons of half a minute.
  await wait(5_000);
  const before = [ann, bob].map(cpuMs);
  await wait(30_000);
  const [ofAnn = 0, ofBob = 0] = [ann, bob].map((member, index) => (cpuMs(member) - (before[index] ?? 0)) / 30_000);
  console.log(
    `${told.view?.records} records at another member after ${Math.round(toldMs)} ms; meanwhile the owner was answered within ${at(0.5)} ms (half), ${at(0.99)} ms (99 %), ${at(1)} ms (all); kept at ${(100 * ofAnn).toFixed(1)} % of a core where the files are, ${(100 * ofBob).toFixed(1)} % elsewhere`,
  );
  expect(at(0.99)).toBeLessThan(1_000);
  expect(Math.max(ofAnn, ofBob)).toBeLessThan(0.2);
  await broker.close();
}, 600_000);
