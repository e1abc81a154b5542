import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { ContactServiceDefinition } from '../../proto/gen/warren/member/v1/member.ts';
import { createBus } from '../../services/bus/amqp-bus.ts';
import { createClient } from '../../services/bus/calls.ts';
import { rpcKey } from '../../services/bus/own-keys.ts';
import { createRelays } from '../../services/bus/relay/relays.ts';
import { roles } from '../../services/bus/topology.ts';
import { createMemberKeys, formatMemberKeys } from '../../services/lib/identity/keys.ts';
import { brokerAccountOf, type MemberId } from '../../services/lib/identity/member-id.ts';
import { openGrpc } from '../../services/lib/rpc/grpc-client.ts';
import { memberChannelCredentials, memberChannelOptions } from '../../services/lib/rpc/member-tls.ts';
import { createDialler } from '../../services/member/dialler.ts';
import type { LocalBroker } from '../../services/up/local-broker.ts';
import { ownBroker, temporaryDir } from '../support/broker.ts';
import { until } from '../support/until.ts';
import { spawnWarren } from '../support/warren-process.ts';
import { createNetwork, type JoinedHome, type Network, spawnDaemon } from './network.ts';

let broker: LocalBroker;
let network: Network;
let ann: JoinedHome;
let bob: JoinedHome;

beforeAll(async () => {
  broker = await ownBroker({ management: true });
  network = await createNetwork(broker);
  [ann, bob] = [await network.join('ann'), await network.join('bob')];
}, 120_000);
afterAll(() => broker?.close(), 30_000);

/** Over gRPC, as one member to another. */
function dial(from: JoinedHome, to: MemberId, port: number) {
  const own = {
    ...{ authorityCertificate: network.authority.certificate, certificate: from.certificate },
    key: formatMemberKeys(from.keys),
  };
  const connection = openGrpc(`127.0.0.1:${port}`, memberChannelCredentials(own, to), memberChannelOptions);
  onTestFinished(() => connection.close());
  return connection;
}

function start(home: JoinedHome, ...more: string[]) {
  return startWith(home, ['--port', '0', ...more]);
}

async function startWith(home: JoinedHome, flags: readonly string[]) {
  const daemon = await spawnDaemon(home.dir, ...flags);
  onTestFinished(async () => {
    daemon.connection.close();
    await daemon.process[Symbol.asyncDispose]();
  });
  await daemon.process.line(/^member is up$/);
  return daemon;
}

test('is called at a queue that others cannot fill without end', async () => {
  await start(ann);
  const { origin, username, password } = new URL(broker.httpUrl ?? '');
  const authorization = `Basic ${btoa(`${username}:${password}`)}`;
  const queues = async () => {
    const answer = await fetch(`${origin}/api/queues/%2F`, { headers: { authorization } });
    return (await answer.json()) as { name: string; arguments: Record<string, unknown> }[];
  };
  const bounds = { 'x-max-length': 1_000, 'x-message-ttl': 60_000 };
  const found = await until(queues, all =>
    all.some(
      each =>
        each.name.startsWith('amq.gen') &&
        Object.entries(bounds).every(([name, value]) => each.arguments[name] === value),
    ),
  );
  expect(found.length).toBeGreaterThan(0);
});

test('tells its owner who it is and how it is', async () => {
  const { owner, port, process } = await start(ann, '--name', 'laptop');
  await until(
    () => owner.status({}),
    ({ broker }) => broker?.latencyMs !== undefined,
  );
  const status = await owner.status({});
  expect(status).toMatchObject({
    ...{ memberId: ann.keys.id, name: 'laptop', account: 'ann', pid: process.pid, grpcAddress: `*:${port}` },
    ...{
      advertised: [`127.0.0.1:${port}`],
      broker: { up: true, reason: '' },
      parts: [{ name: 'ring' }, { name: 'files' }, { name: 'chat' }],
      connectedMembers: 0,
    },
  });
  expect(status.broker?.latencyMs).toBeLessThan(1_000);
  expect(Number(status.certificateLeftMs)).toBeGreaterThan(86_000_000);
});

test('answers members over gRPC and over the bus, and knows who calls', async () => {
  const { port } = await start(ann, '--name', 'laptop');
  const pong = { memberId: ann.keys.id, name: 'laptop', callerId: bob.keys.id };
  expect(await dial(bob, ann.keys.id, port).client(ContactServiceDefinition).ping({})).toEqual(pong);
  const bus = createBus({ urls: [bob.brokerUrl], name: 'bob', role: roles.member() });
  onTestFinished(() => bus.close(200));
  const account = brokerAccountOf(ann.keys.id);
  const byBus = createClient(bus, rpcKey(account), ContactServiceDefinition, { from: account });
  expect(await byBus.ping({})).toEqual(pong);
});

test('ends in good order when its owner says so, and on SIGTERM and SIGINT', async () => {
  const one = await start(ann);
  expect(await one.owner.stop({})).toEqual({});
  expect(await one.process.exit).toBe(0);
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    const { process } = await start(ann);
    process.kill(signal);
    expect(await process.exit).toBe(0);
  }
});

test('several on one machine find a port each; a port that was asked for and is taken is one line', async () => {
  const without = (home: JoinedHome) => startWith(home, []);
  const [one, two] = [await without(ann), await without(bob)];
  expect(new Set([one.port, two.port]).size).toBe(2);
  for (const { port } of [one, two]) {
    expect(port).toBeGreaterThanOrEqual(50_051);
    expect(port).toBeLessThanOrEqual(50_100);
  }
  const carl = await network.join('carl');
  await using third = await spawnWarren(['member', '--data', carl.dir, '--port', String(one.port)]);
  expect(await third.exit).toBe(1);
  expect(third.lines).toEqual([
    `warren: port ${one.port} is taken by another process: choose another, or stop that one`,
  ]);
});

test('a home that has not joined is told how', async () => {
  await using process = await spawnWarren(['member', '--data', await temporaryDir()]);
  expect(await process.exit).toBe(1);
  expect(process.lines).toEqual(['warren: this home has not joined: warren join LINE']);
});

test('warren health asks it', async () => {
  const asked = async (): Promise<[unknown, string[]]> => {
    await using health = await spawnWarren(['health', 'member', '--data', ann.dir]);
    return [await health.exit, health.lines];
  };
  expect(await asked()).toEqual([1, [`warren: no member runs for ${ann.dir}: warren member --data ${ann.dir}`]]);
  await start(ann);
  expect(await asked()).toEqual([0, ['ready']]);
});

test('is reached through the broker where it cannot be dialled', async () => {
  await start(ann, '--name', 'laptop');
  const bus = createBus({ urls: [bob.brokerUrl], name: 'bob', role: roles.member() });
  onTestFinished(() => bus.close(200));
  await bus.ready();
  const own = { authorityCertificate: network.authority.certificate, certificate: bob.certificate };
  const clock = (): number => performance.now();
  const relays = createRelays({ bus, keys: bob.keys, clock, warn: () => {} });
  onTestFinished(() => relays.close());
  const dialler = createDialler({
    ...{ bus, relays, clock, random: Math.random },
    credentials: () => ({ ...own, key: formatMemberKeys(bob.keys) }),
    revocations: { isRevoked: () => false, isRevokedMember: () => false, onRevoked: () => () => {} },
  });
  onTestFinished(() => dialler.close());
  const link = await dialler.dial(ann.keys.id, ['127.0.0.1:1']);
  expect(link.way).toBe('broker');
  expect(await link.unary(ContactServiceDefinition).ping({})).toMatchObject({ name: 'laptop', callerId: bob.keys.id });
  expect(await link.client(ContactServiceDefinition).ping({})).toMatchObject({ name: 'laptop', callerId: bob.keys.id });
  // Who is not there: known at once, and not by a deadline.
  const nobody = await dialler.dial(createMemberKeys().id, []);
  await expect(nobody.unary(ContactServiceDefinition).ping({})).rejects.toMatchObject({ code: 'BUS_NO_RECEIVER' });
});
