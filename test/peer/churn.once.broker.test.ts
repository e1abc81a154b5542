import { test } from 'vitest';
import { Network } from '../directory/network-of-processes.ts';
import { ownBroker } from '../support/broker.ts';
import { churn } from './parts/churn.ts';

const seed = Number(process.env.WARREN_SEED ?? Math.floor(Math.random() * 1e6));

test(`whatever is killed for a while, what was asked for ends byte for byte or says why (WARREN_SEED=${seed})`, async () => {
  const network = await Network.start(await ownBroker({ management: true }));
  await churn(network, { seed, files: 40, mostBytes: 4 * 2 ** 20, forMs: 15_000, settleMs: 60_000 });
}, 240_000);
