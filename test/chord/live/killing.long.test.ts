import { onTestFinished, test } from 'vitest';
import { createNetwork } from '../../member/network.ts';
import { temporaryDir } from '../../support/broker.ts';
import { startEmbeddedProcess } from '../../support/embedded-process.ts';
import { killSome } from './killing.ts';
import { allSeeAll, spawnRing, spawnSeveral } from './network-of-nodes.ts';

/** 32 processes are too many for two cores: those that stay share two, those that are killed have one each. Where they lie on the circle is by chance. */
test('ten of 32 nodes killed at once, each a process: what has a living holder answers soon, and has all its copies again', async () => {
  const broker = await startEmbeddedProcess({ dir: await temporaryDir(), user: 'test', password: 'test' });
  onTestFinished(() => broker.close());
  const network = await createNetwork(broker);
  const doomed = await spawnRing(network, 10);
  const living = [];
  for (const count of [11, 11]) living.push(...(await spawnSeveral(network, count, doomed[0]?.address ?? '')));
  await allSeeAll([...doomed, ...living]);
  await killSome(doomed, living, { keys: 100, slackMs: 2_000 });
}, 900_000);
