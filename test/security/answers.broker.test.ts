import { afterAll, beforeAll, expect, test } from 'vitest';
import { Answer, Call } from '../../proto/gen/warren/bus/v1/rpc.ts';
import { DirectoryServiceDefinition } from '../../proto/gen/warren/directory/v1/directory.ts';
import type { Bus, Delivery } from '../../services/bus/bus.ts';
import { serveCalls } from '../../services/bus/calls.ts';
import { directoryRpc } from '../../services/bus/queues.ts';
import { roles } from '../../services/bus/topology.ts';
import { directoryClient } from '../../services/directory/client.ts';
import type { Served } from '../../services/lib/rpc/definition.ts';
import { until } from '../support/until.ts';
import { busOf, type Network, type Person, publish, rawConnection, startNetwork, tried } from './network.ts';

/** Answers to calls: who may give them, and where they go. */

let network: Network;
let mallory: Person;
let alice: Person;

beforeAll(async () => {
  network = await startNetwork([]);
  [mallory, alice] = [await network.addMember(), await network.addMember()];
}, 120_000);

afterAll(() => network?.close(), 30_000);

/** A directory that knows of one thing only, and takes as long for it as the test wants. */
async function serve(until: Promise<void>): Promise<{ bus: Bus; callers: string[] }> {
  const bus = busOf(network.directory, roles.directory('classic'));
  const callers: string[] = [];
  const ping = async (_request: unknown, { address }: { address: string }) => {
    callers.push(address);
    await until;
    return { leaseMs: 4_711 };
  };
  const handlers = new Proxy({}, { get: () => ping }) as Served['handlers'];
  const services = [{ definition: DirectoryServiceDefinition, handlers }];
  await serveCalls(bus, directoryRpc('classic').queue, services, { atOnce: 4, warn: () => {} });
  await bus.ready();
  return { bus, callers };
}

/** All that goes through `m` to its answers: with it, somebody who looks over her shoulder could answer. */
async function overHerShoulder(): Promise<{ calls: Delivery[]; off: () => Promise<void> }> {
  const admin = await rawConnection(network.broker.url);
  const channel = await admin.createChannel();
  const { queue } = await channel.assertQueue('', { exclusive: true });
  await channel.bindQueue(queue, 'm', 'directory.rpc');
  const calls: Delivery[] = [];
  await channel.consume(queue, message => {
    if (message) calls.push({ ...message.properties, key: message.fields.routingKey } as unknown as Delivery);
  });
  return { calls, off: () => admin.close() };
}

const forged = Buffer.from(Answer.encode(Answer.create({ code: 7, reason: 'FORGED' })).finish());

test.each([
  ['counts when it may come from anybody', undefined],
  ['is no answer when it must be the directory who gives it', 'directory'],
] as const)('an answer forged with the right correlation, which cannot be guessed, %s', async (_, from) => {
  const slow = Promise.withResolvers<void>();
  const { callers } = await serve(slow.promise);
  const spy = await overHerShoulder();
  const her = busOf(alice, roles.member());
  await her.ready();
  const asked = directoryClient(her, from === undefined ? {} : { from }).ping({ token: 't', addresses: [] });
  asked.catch(() => {});
  const call = (
    await until(
      () => spy.calls,
      calls => calls.length === 1,
    )
  )[0];
  expect(call?.replyTo).toMatch(new RegExp(`^m\\.${alice.id}\\.reply\\.`));
  const answer = { type: 'warren.bus.v1.Answer', userId: mallory.account };
  // A guess first.
  const key = call?.replyTo ?? '';
  expect(await tried(mallory, publish('m', key, { ...answer, correlationId: 'guess' }, forged))).toBe('allowed');
  expect(await tried(mallory, publish('m', key, { ...answer, correlationId: call?.correlationId ?? '' }, forged))).toBe(
    'allowed',
  );
  if (from === undefined) await expect(asked).rejects.toMatchObject({ code: 'FORGED' });
  slow.resolve();
  if (from !== undefined) expect(await asked).toEqual({ leaseMs: 4_711 });
  expect(callers).toEqual([`bus:${alice.account}`]);
  await spy.off();
});

test('an answer goes to who called and to nobody else, wherever it is asked to', async () => {
  const { callers } = await serve(Promise.resolve());
  const her = await (await rawConnection(alice.url)).createChannel();
  const { queue } = await her.assertQueue('', { exclusive: true });
  const heard: unknown[] = [];
  for (const key of [`m.${alice.id}.reply.${queue}`, `m.${alice.id}.rpc`]) await her.bindQueue(queue, 'm', key);
  await her.consume(queue, message => void heard.push(message?.properties.correlationId), { noAck: true });

  const his = await (await rawConnection(mallory.url)).createConfirmChannel();
  const own = await his.assertQueue('', { exclusive: true });
  await his.bindQueue(own.queue, 'm', `m.${mallory.id}.reply.${own.queue}`);
  const got: unknown[] = [];
  const note = (message: { properties: { correlationId?: unknown } } | null): void =>
    void got.push(message?.properties.correlationId);
  await his.consume(own.queue, note, { noAck: true });
  await his.consume('amq.rabbitmq.reply-to', note, { noAck: true });
  const method = 'warren.directory.v1.DirectoryService/Ping';
  const body = Buffer.from(Call.encode(Call.create({ method })).finish());
  const call = (replyTo: string, options: object): void =>
    void his.publish('m', 'directory.rpc', body, {
      ...{ type: 'warren.bus.v1.Call', replyTo, correlationId: replyTo, userId: mallory.account },
      ...options,
    });
  call(`m.${alice.id}.reply.${queue}`, {});
  call(`m.${alice.id}.rpc`, {});
  call('directory.rpc', {});
  // Direct reply-to: the broker makes of it an address at the default exchange.
  call('amq.rabbitmq.reply-to', {});
  // Nobody's: the broker vouches for no sender.
  call(`m.${mallory.id}.reply.${own.queue}`, { userId: undefined, correlationId: 'nobody' });
  call(`m.${mallory.id}.reply.${own.queue}`, { correlationId: 'fine' });
  await his.waitForConfirms();
  await until(
    () => got,
    ids => ids.includes('fine'),
  );
  expect(got).toEqual(['fine']);
  expect(callers).toEqual([`bus:${mallory.account}`]);
  // Her queue is in order: what had been sent there before would be heard before this.
  expect(await tried(mallory, publish('m', `m.${alice.id}.rpc`, { correlationId: 'a call' }))).toBe('allowed');
  await until(
    () => heard,
    ids => ids.includes('a call'),
  );
  expect(heard).toEqual(['a call']);
});
