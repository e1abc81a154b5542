import { expect, test } from 'vitest';
import { Network } from '../directory/network-of-processes.ts';
import { ownBroker } from '../support/broker.ts';
import { swarmOfTen } from './parts/swarm-of-ten.ts';

test('ten that pull 64 MiB at once take each piece less than three times from who has it', async () => {
  const network = await Network.start(await ownBroker({ management: true }));
  const times = await swarmOfTen(network, 64);
  expect(times).toBeLessThan(3);
  expect(times).toBeGreaterThan(0.9);
}, 180_000);
