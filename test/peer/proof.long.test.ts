import { expect, onTestFinished, test } from 'vitest';
import { randomHex } from '../../services/lib/random.ts';
import { Network } from '../directory/network-of-processes.ts';
import { temporaryDir } from '../support/broker.ts';
import { startEmbeddedProcess } from '../support/embedded-process.ts';
import { churn } from './parts/churn.ts';
import { swarmOfTen } from './parts/swarm-of-ten.ts';

const seed = Number(process.env.WARREN_SEED ?? Math.floor(Math.random() * 1e6));

async function network(): Promise<Network> {
  const broker = await startEmbeddedProcess({ dir: await temporaryDir(), user: 'test', password: randomHex(32) });
  onTestFinished(() => broker.close());
  return Network.start(broker);
}

test(`five members, 200 files, two minutes of kills (WARREN_SEED=${seed})`, async () => {
  await churn(await network(), { seed, files: 200, mostBytes: 64 * 2 ** 20, forMs: 120_000, settleMs: 90_000 });
}, 1_200_000);

test('ten that pull 256 MiB at once take each piece less than three times from who has it', async () => {
  const times = await swarmOfTen(await network(), 256);
  expect(times).toBeLessThan(3);
}, 600_000);
