import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { ChordServiceDefinition } from '../../../proto/gen/warren/chord/v1/chord.ts';
import type { LocalBroker } from '../../../services/up/local-broker.ts';
import { createNetwork, type Network, spawnDaemon } from '../../member/network.ts';
import { ownBroker } from '../../support/broker.ts';
import { until } from '../../support/until.ts';

let broker: LocalBroker;
let network: Network;
beforeAll(async () => {
  broker = await ownBroker();
  network = await createNetwork(broker);
}, 60_000);
afterAll(() => broker?.close(), 30_000);

async function spawnNode(...more: string[]) {
  const home = await network.join('ann');
  const daemon = await spawnDaemon(home.dir, '--port', '0', '--ring-port', '0', '--host', '127.0.0.1', ...more);
  onTestFinished(async () => {
    daemon.connection.close();
    await daemon.process[Symbol.asyncDispose]();
  });
  return { ...daemon, home, ring: daemon.connection.client(ChordServiceDefinition) };
}

test('nodes join through an address and find what others have put', async () => {
  const first = await spawnNode();
  const second = await spawnNode('--join', `127.0.0.1:${first.port}`);
  const third = await spawnNode('--join', `127.0.0.1:${second.port}`);
  await until(
    () => third.ring.show({}),
    ({ nodes }) => nodes.length === 3,
  );
  await first.ring.put({ key: 'greeting', value: Buffer.from('hello'), lifeMs: 0 });
  for (const { ring } of [first, second, third])
    expect((await ring.get({ key: 'greeting' })).value.toString()).toBe('hello');
}, 60_000);
