import { test } from 'vitest';
import { createNetwork } from '../../member/network.ts';
import { ownBroker } from '../../support/broker.ts';
import { killSome, spawnRing } from './killing.ts';

test('ten of 32 processes killed at once', async () => {
  const nodes = await spawnRing(await createNetwork(await ownBroker()), 32);
  await killSome(nodes, { kills: 10, keys: 200, slackMs: 2_000 });
}, 900_000);
