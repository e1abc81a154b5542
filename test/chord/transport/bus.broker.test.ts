import { afterAll, beforeAll, expect, test } from 'vitest';
import { createBus } from '../../../services/bus/amqp-bus.ts';
import type { Bus } from '../../../services/bus/bus.ts';
import { serveCalls } from '../../../services/bus/calls.ts';
import { rpcKey } from '../../../services/bus/own-keys.ts';
import { roles } from '../../../services/bus/topology.ts';
import type { Answer } from '../../../services/chord/ring-service.ts';
import { clientByBus } from '../../../services/chord/ways.ts';
import { createMemberKeys } from '../../../services/lib/identity/keys.ts';
import type { LocalBroker } from '../../../services/up/local-broker.ts';
import { createNetwork, type JoinedHome } from '../../member/network.ts';
import { ownBroker } from '../../support/broker.ts';
import { codecsOf, serviceOf } from './certified.ts';
import { transportCompliance } from './compliance.ts';
import { transportBy } from './transport-by.ts';

let broker: LocalBroker;
let homes: { caller: JoinedHome; called: JoinedHome };
let buses: { caller: Bus; called: Bus; admin: Bus };

beforeAll(async () => {
  broker = await ownBroker();
  const network = await createNetwork(broker);
  homes = { caller: await network.join('ann'), called: await network.join('bob') };
  const busOf = async (url: string): Promise<Bus> => {
    const bus = createBus({ urls: [url], name: 'test', role: roles.member() });
    await bus.ready();
    return bus;
  };
  buses = {
    caller: await busOf(homes.caller.brokerUrl),
    called: await busOf(homes.called.brokerUrl),
    admin: await busOf(broker.url),
  };
}, 60_000);
afterAll(async () => {
  await Promise.all(Object.values(buses ?? {}).map(bus => bus.close()));
  await broker?.close();
}, 30_000);

async function open(answer: Answer) {
  const [caller, called] = [homes.caller.keys.id, homes.called.keys.id];
  const consumer = await serveCalls(
    buses.called,
    { name: '', exclusive: true, why: 'the test' },
    [serviceOf(called, answer)],
    { atOnce: 64, bindings: [{ exchange: 'm', key: rpcKey(buses.called.user) }], warn: () => {} },
  );
  return {
    ...{ caller, called, absent: createMemberKeys().id, address: '' },
    transportOf(self: Parameters<typeof transportBy>[1]) {
      const { book, codecs } = codecsOf(caller, ['127.0.0.1:1']);
      return transportBy(to => clientByBus(buses.caller, to.member), self, codecs, book);
    },
    close: () => consumer.close(),
  };
}

transportCompliance('the bus', open);

test('a broker account that is no member’s is no node’s', async () => {
  const heard: unknown[] = [];
  const ends = await open((async (_to: number, name: string) => void heard.push(name)) as unknown as Answer);
  const call = clientByBus(buses.admin, ends.called).ping({ way: { toIndex: 0, fromIndex: 0, fromAddresses: [] } });
  await expect(call).rejects.toMatchObject({ code: 'CHORD_STRANGER', status: 'PERMISSION_DENIED' });
  expect(heard).toEqual([]);
  await ends.close();
});
