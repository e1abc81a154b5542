import type { ConfirmChannel } from 'amqplib';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Bus } from '../../services/bus/bus.ts';
import { roles } from '../../services/bus/topology.ts';
import { whichBroker } from '../compliance/which-broker.ts';
import { until } from '../support/until.ts';
import { busOf, type Network, type Person, rawConnection, startNetwork } from './network.ts';

/**
 * Ways around the routing keys that an account may write, which a broker gives to whoever may write to one exchange and read from
 * another. Whether a message arrives so differs; that it has no effect does not: the receiver sees by which way it came.
 */

let network: Network;
let mallory: Person;
let alice: Person;

beforeAll(async () => {
  network = await startNetwork(['web']);
  [mallory, alice] = [await network.addMember(), await network.addMember(['web'])];
}, 120_000);

afterAll(() => network?.close(), 30_000);

/** Where only the proxy may send: to a worker that Alice runs. */
const forbidden = (): string => `m.${alice.id}.job.worker`;

interface Detour {
  readonly name: string;
  /** Sends `attack`, so that it should come out at the key. Rejects where the broker refuses. */
  act(channel: ConfirmChannel, key: string): Promise<unknown>;
  /** Whether it gets to a queue that is bound to the key, by broker: else refused, or lost. */
  readonly arrives: Readonly<Record<'3.10' | '4.0' | 'embedded', boolean>>;
}

const attack = Buffer.from('attack');

const detours: readonly Detour[] = [
  {
    name: 'more keys in the header CC',
    act: async (channel, key) => channel.publish('m', `m.${alice.id}.dm`, attack, { CC: [key] }),
    // 4.0 looks at these keys too.
    arrives: { '3.10': true, '4.0': false, embedded: false },
  },
  {
    name: 'more keys in the header BCC',
    act: async (channel, key) => channel.publish('m', `m.${alice.id}.dm`, attack, { BCC: [key] }),
    // 4.0 looks at these keys too.
    arrives: { '3.10': true, '4.0': false, embedded: false },
  },
  {
    name: 'an exchange of its own whose unroutable messages go on',
    act: async (channel, key) => {
      const exchange = `m.${mallory.id}.x`;
      await channel.assertExchange(exchange, 'direct', { alternateExchange: 'm', autoDelete: true });
      channel.publish(exchange, key, attack);
    },
    arrives: { '3.10': true, '4.0': true, embedded: false },
  },
  {
    name: 'an exchange of its own, bound to the shared one',
    act: async (channel, key) => {
      const exchange = `m.${mallory.id}.y`;
      await channel.assertExchange(exchange, 'direct');
      await channel.bindExchange('m', exchange, key);
      channel.publish(exchange, key, attack);
      await channel.waitForConfirms();
      await channel.deleteExchange(exchange);
    },
    arrives: { '3.10': true, '4.0': true, embedded: false },
  },
  {
    name: 'a queue of its own that dead-letters to the key',
    act: async (channel, key) => {
      const { queue } = await channel.assertQueue('', {
        exclusive: true,
        arguments: { 'x-dead-letter-exchange': 'm', 'x-dead-letter-routing-key': key, 'x-message-ttl': 0 },
      });
      await channel.bindQueue(queue, 'm', `m.${mallory.id}.dm`);
      // It may not send to itself but as to any member.
      channel.publish('m', `m.${mallory.id}.dm`, attack);
      await channel.waitForConfirms();
    },
    arrives: { '3.10': true, '4.0': true, embedded: true },
  },
];

test.each(detours)('without effect: $name', async ({ act, arrives }) => {
  const key = forbidden();
  const lines: string[] = [];
  const worker = busOf(alice, roles.member(), line => lines.push(line));
  const seen: string[] = [];
  await worker.consume(
    { name: '', exclusive: true, why: 'of this test' },
    ({ body }) => {
      seen.push(body.toString());
      return 'ack';
    },
    { noAck: true, bindings: () => [{ exchange: 'm', key }] },
  );
  // Hears whatever gets there, as somebody would who does not look.
  const careless = await (await rawConnection(alice.url)).createChannel();
  const arrived: string[] = [];
  const { queue } = await careless.assertQueue('', { exclusive: true });
  await careless.bindQueue(queue, 'm', key);
  await careless.consume(queue, message => void arrived.push(message?.content.toString() ?? ''), { noAck: true });

  const channel = await (await rawConnection(mallory.url)).createConfirmChannel();
  channel.on('error', () => {});
  await act(channel, key)
    .then(() => channel.waitForConfirms())
    .catch(() => {});

  // The dead take their own time.
  const broker = await whichBroker(network.broker.url);
  if (arrives[broker])
    await until(
      () => arrived,
      bodies => bodies.includes('attack'),
    );
  const proxy = busOf(network.proxy, roles.proxy(['web'], 'classic'));
  await proxy.publish({ type: 'warren.proxy.v1.Grant', key, body: Buffer.from('grant') });
  for (const heard of [arrived, seen])
    await until(
      () => heard,
      bodies => bodies.includes('grant'),
    );
  expect(arrived).toEqual(arrives[broker] ? ['attack', 'grant'] : ['grant']);
  expect(seen).toEqual(['grant']);
  expect(lines.length).toBe(arrives[broker] ? 1 : 0);
  if (arrives[broker]) expect(lines[0]).toMatch(/^dropped what came to own queue by a way that it is not bound to/);
});

test("what was sent to one does not reach another as the sender's: a call to the directory", async () => {
  const directory = busOf(network.directory, roles.directory('classic'));
  await directory.ready();
  const seen: (string | undefined)[] = [];
  await directory.consume(
    { name: 'directory.rpc', why: 'of this test' },
    ({ userId }) => {
      seen.push(userId);
      return 'ack';
    },
    { prefetch: 1 },
  );
  const channel = await (await rawConnection(mallory.url)).createConfirmChannel();
  const { queue } = await channel.assertQueue('', {
    exclusive: true,
    arguments: {
      'x-dead-letter-exchange': 'm',
      'x-dead-letter-routing-key': 'directory.rpc',
      // The second one in pushes the first one on.
      'x-max-length': 1,
    },
  });
  await channel.bindQueue(queue, 'm', `m.${mallory.id}.rpc`);
  const victim: Bus = busOf(alice, roles.member());
  const call = { type: 'warren.bus.v1.Call', key: `m.${mallory.id}.rpc`, body: Buffer.from('revoke me') } as const;
  for (let i = 0; i < 3; i++) await victim.publish(call);
  await until(
    async () => (await channel.checkQueue(queue)).messageCount,
    count => count === 1,
  );
  // Behind the two that were pushed on.
  await victim.publish({ ...call, key: 'directory.rpc' });
  await until(
    () => seen.length,
    count => count > 0,
  );
  expect(seen).toEqual([alice.account]);
});

test('events stay on their exchange: one bound to another tells nobody anything', async () => {
  const listener = busOf(alice, roles.member());
  const seen: string[] = [];
  await listener.consume(
    { name: '', exclusive: true, why: 'of this test' },
    ({ body }) => {
      seen.push(body.toString());
      return 'ack';
    },
    { noAck: true, bindings: () => [{ exchange: 'p2p.transfers', key: '#' }] },
  );
  const channel = await (await rawConnection(mallory.url)).createConfirmChannel();
  channel.on('error', () => {});
  const broker = await whichBroker(network.broker.url);
  const bound = channel.bindExchange('p2p.transfers', 'chord.events', '#');
  if (broker === 'embedded') await expect(bound).rejects.toThrow();
  else {
    await bound;
    channel.publish('chord.events', mallory.id, attack);
    channel.publish('p2p.transfers', mallory.id, Buffer.from('mine'));
    await channel.waitForConfirms();
    await until(
      () => seen,
      bodies => bodies.includes('mine'),
    );
    expect(seen).toEqual(['mine']);
    await channel.unbindExchange('p2p.transfers', 'chord.events', '#');
  }
});
