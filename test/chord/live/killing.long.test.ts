import { onTestFinished, test } from 'vitest';
import { createNetwork } from '../../member/network.ts';
import { temporaryDir } from '../../support/broker.ts';
import { startEmbeddedProcess } from '../../support/embedded-process.ts';
import { killSome, spawnRing } from './killing.ts';

test('ten of 32 processes killed at once: what has a living holder answers soon, and has all its copies again', async () => {
  const broker = await startEmbeddedProcess({ dir: await temporaryDir(), user: 'test', password: 'test' });
  onTestFinished(() => broker.close());
  const nodes = await spawnRing(await createNetwork(broker), 32);
  await killSome(nodes, { kills: 10, keys: 200, slackMs: 2_000 });
}, 900_000);
