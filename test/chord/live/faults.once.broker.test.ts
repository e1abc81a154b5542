import { beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import type { LocalBroker } from '../../../services/up/local-broker.ts';
import { createNetwork, type Network } from '../../member/network.ts';
import { ownBroker } from '../../support/broker.ts';
import { startRelay } from '../../support/tcp-relay.ts';
import { until } from '../../support/until.ts';
import { killSome } from './killing.ts';
import { allSeeAll, type RingProcess, spawnNode, spawnRing } from './network-of-nodes.ts';

let broker: LocalBroker;
let network: Network;
beforeEach(async () => {
  broker = await ownBroker();
  network = await createNetwork(broker);
}, 60_000);

const whole = (nodes: readonly RingProcess[]): Promise<void> => allSeeAll(nodes, 30_000);

/** A key that is a node's own: where it stands itself. */
async function keyOf({ ring }: RingProcess): Promise<string> {
  const place = (await ring.show({})).view?.self?.place;
  if (place === undefined) throw new Error('it stands nowhere');
  return place;
}

test('three of seven killed at once: what has a living holder answers soon, and has all its copies again', async () => {
  const nodes = await spawnRing(network, 7);
  const shuffled = [...nodes].sort(() => Math.random() - 0.5);
  await killSome(shuffled.slice(0, 3), shuffled.slice(3), { keys: 40, slackMs: 1_000 });
}, 180_000);

describe('a node that nobody can dial', () => {
  test('takes part over the broker: it owns keys, holds them, and finds those of others', async () => {
    const first = await spawnNode(network);
    // Where it says that it is, nobody listens.
    const hidden = await spawnNode(network, '--join', first.address, '--advertise', '127.0.0.1:1');
    const third = await spawnNode(network, '--join', first.address);
    await whole([first, hidden, third]);
    const key = await keyOf(hidden);
    await third.ring.put({ key, value: Buffer.from('over the broker'), lifeMs: 0 });
    const { hops } = await first.ring.lookup({ key });
    expect(hops.at(-1)).toMatchObject({ way: 'broker', isSilent: false });
    expect((await first.ring.get({ key })).value.toString()).toBe('over the broker');
    const own = await keyOf(first);
    await hidden.ring.put({ key: own, value: Buffer.from('from behind'), lifeMs: 0 });
    expect((await third.ring.get({ key: own })).value.toString()).toBe('from behind');
    expect((await hidden.ring.lookup({ key: own })).hops.at(-1)).toMatchObject({ way: 'direct' });
  }, 120_000);

  test('or no more, since its port was cut without a word, is called through the broker before it counts as dead', async () => {
    const first = await spawnNode(network);
    const second = await spawnNode(network, '--join', first.address);
    // A relay in front of it, which it says is its address. The port must be known before it starts.
    const { freePort } = await import('../../../services/up/free-port.ts');
    const port = await freePort();
    const relay = await startRelay(port);
    onTestFinished(() => relay.close());
    const third = await spawnNode(
      network,
      ...['--join', first.address, '--port', String(port), '--advertise', `127.0.0.1:${relay.port}`],
    );
    await whole([first, second, third]);
    const key = await keyOf(third);
    expect((await first.ring.lookup({ key })).hops.at(-1)).toMatchObject({ way: 'direct' });
    relay.freeze();
    for (const { ring } of [first, second]) {
      const { hops, owner } = await ring.lookup({ key });
      expect(owner?.memberId).toBe(third.home.keys.id);
      expect(hops.at(-1)).toMatchObject({ way: 'broker', isSilent: false });
    }
    await second.ring.put({ key, value: Buffer.from('still there'), lifeMs: 0 });
    expect((await third.ring.get({ key })).value.toString()).toBe('still there');
    await whole([first, second, third]);
  }, 120_000);
});

test('while the broker is away, nodes that can dial each other look up, put and get, and see that one died', async () => {
  const nodes = await spawnRing(network, 4);
  const [first, second, third, fourth] = nodes as [RingProcess, RingProcess, RingProcess, RingProcess];
  const key = await keyOf(fourth);
  await broker.kill();
  await until(
    () => first.owner.status({}),
    ({ broker: reach }) => reach?.up === false,
  );
  await first.ring.put({ key, value: Buffer.from('without a broker'), lifeMs: 0 });
  expect((await second.ring.get({ key })).value.toString()).toBe('without a broker');
  fourth.process.kill('SIGKILL');
  expect((await third.ring.get({ key })).value.toString()).toBe('without a broker');
  await whole([first, second, third]);
  await broker.start();
  await until(
    () => first.owner.status({}),
    ({ broker: reach }) => reach?.up === true,
    30_000,
  );
  expect((await first.ring.get({ key })).value.toString()).toBe('without a broker');
}, 120_000);
