import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { NameChanged } from '../../proto/gen/warren/naming/v1/naming.ts';
import { createBus } from '../../services/bus/amqp-bus.ts';
import type { Bus } from '../../services/bus/bus.ts';
import { type Rights, rights } from '../../services/bus/rights.ts';
import { type QueueKind, type Role, roles } from '../../services/bus/topology.ts';
import { brokerAccountOf, type MemberId } from '../../services/lib/identity/member-id.ts';
import { randomHex } from '../../services/lib/random.ts';
import { type NamingClient, namingClient } from '../../services/naming/client.ts';
import { methods } from '../../services/naming/methods.ts';
import { keepRegistered, type Standing } from '../../services/naming/registration.ts';
import { restNamingClient } from '../../services/naming/rest-client.ts';
import { type RunningNaming, startNaming } from '../../services/naming/service.ts';
import { namingDir } from '../../services/naming/store.ts';
import type { LocalBroker } from '../../services/up/local-broker.ts';
import { accountsOf } from '../compliance/accounts.ts';
import { ownBroker, temporaryDir, uniqueName } from '../support/broker.ts';
import { until } from '../support/until.ts';
import { lookUp } from './look-up.ts';

/** Every call that naming knows, over REST and over the bus: the same answers, the same refusals. */

const ann = randomHex(64) as MemberId;
const bob = randomHex(64) as MemberId;
const addresses = ['10.0.0.1:50051'];
const password = randomHex(32);
let broker: LocalBroker;
let serverBus: Bus;
let adminBus: Bus;
const memberBuses = new Map<MemberId, Bus>();
let naming: RunningNaming;
let dataDir = '';
let token = '';

function urlOf(account: string): string {
  const url = new URL(broker.url);
  url.username = account;
  url.password = password;
  return url.href;
}

/** Not only for one test. */
function bus(role: Role, url = broker.url): Bus {
  return createBus({ urls: [url], name: 'test', role });
}

function start(on: Bus, dir: string, queueType: QueueKind = 'classic'): Promise<RunningNaming> {
  return startNaming(
    { bus: on, now: () => Date.now(), clock: () => performance.now(), random: () => Math.random(), warn: () => {} },
    {
      ...{ dataDir: dir, host: '127.0.0.1', port: 0, dnsHost: '127.0.0.1', dnsPort: 0, dnsRate: 0 },
      ...{ zones: ['lab'], leaseMs: 3_000, queueType },
    },
  );
}

// The queue is the broker's only one: other tests that run a naming must not answer.
beforeAll(async () => {
  broker = await ownBroker({ management: true });
  const accounts = await accountsOf(broker);
  if (typeof accounts === 'string') throw new Error(accounts);
  const account = (name: string, { topics, ...patterns }: Rights) => ({ name, password, rights: patterns, topics });
  await accounts.create([
    account('naming', rights.naming()),
    ...[ann, bob].map(id => account(brokerAccountOf(id), rights.member(id))),
  ]);
  dataDir = await temporaryDir();
  serverBus = bus(roles.naming('classic'), urlOf('naming'));
  adminBus = bus(roles.caller());
  for (const id of [ann, bob]) memberBuses.set(id, bus(roles.caller(), urlOf(brokerAccountOf(id))));
  naming = await start(serverBus, dataDir);
  token = (await readFile(join(namingDir(dataDir), 'token'), 'utf8')).trim();
  await Promise.all([serverBus, adminBus, ...memberBuses.values()].map(each => each.ready()));
});
afterAll(async () => {
  await naming?.close();
  await Promise.all([serverBus, adminBus, ...memberBuses.values()].map(each => each?.close(200)));
  await broker?.close();
});

function busOf(member: MemberId): Bus {
  return memberBuses.get(member) ?? adminBus;
}

/** What a member calls: it says who it is where the way does not. */
interface Way {
  readonly of: (member: MemberId) => NamingClient;
  readonly name: (member: MemberId) => string;
}

const overRest: Way = { of: () => restNamingClient(naming.url, token), name: member => member };
const overBus: Way = { of: member => namingClient(busOf(member), { from: 'naming' }), name: () => '' };

type Refused = [what: string, call: (to: NamingClient, me: string) => Promise<unknown>, failure: object];

describe.each([
  ['REST', overRest],
  ['the bus', overBus],
])('over %s', (_, way) => {
  let name = '';
  const [a, b] = [() => way.of(ann), () => way.of(bob)];
  const held = (epoch: number, more: object = {}) => ({
    ...{ name, memberId: way.name(ann), addresses, epoch, migrationId: `m${epoch}`, logOffset: 10 },
    ...more,
  });
  const renewal = (epoch: number, memberId: string, more: object = {}) => ({
    ...{ name, memberId, epoch, logOffset: 10, isDraining: false },
    ...more,
  });
  const asBob = { memberId: '' };
  const latent = (more: object = {}) => ({
    ...{ name, addresses: ['10.0.0.2:50051'], logOffset: 10, isDraining: false },
    ...asBob,
    ...more,
  });

  beforeEach(() => {
    name = `${uniqueName('name')}.lab`;
    asBob.memberId = way.name(bob);
  });

  test('who serves a name is known, at once and to the DNS', async () => {
    const { record, leaseMs } = methods.register.response.parse(await a().register(held(3)));
    expect(leaseMs).toBe(3_000);
    expect(record).toEqual({
      ...{ name, memberId: ann, addresses, epoch: 3, migrationId: 'm3', logOffset: 10 },
      ...{ latents: [], latentCount: 0, leaseLeftMs: expect.closeTo(3_000, -3) },
    });
    expect((await b().resolve({ name })).record).toMatchObject({ memberId: ann, epoch: 3 });
    expect(await lookUp(naming.dnsPort, name, 'A')).toBe('10.0.0.1');
  });

  test('it moves by compare-and-set, once, and never back', async () => {
    await a().register(held(3));
    const move = { ...held(4), memberId: way.name(bob), expectedEpoch: 3 };
    for (let i = 0; i < 2; i++)
      expect((await b().compareAndSet(move)).record).toMatchObject({ memberId: bob, epoch: 4, migrationId: 'm4' });
    const stale = { status: 'ABORTED', code: 'NAMING_EPOCH', message: `${name} is at epoch 4, of member ${bob}` };
    await expect(a().compareAndSet({ ...held(5), expectedEpoch: 3 })).rejects.toMatchObject(stale);
    await expect(a().register(held(3))).rejects.toMatchObject(stale);
    await expect(a().register(held(4))).rejects.toMatchObject(stale);
    await expect(a().renew(renewal(3, way.name(ann)))).rejects.toMatchObject(stale);
    expect(await lookUp(naming.dnsPort, name, 'TXT')).toContain('epoch=4');
  });

  test('latents register, renew, are picked, and leave', async () => {
    await a().register(held(1));
    expect((await b().registerLatent(latent({ logOffset: 2 }))).record?.latents).toMatchObject([
      { memberId: bob, addresses: ['10.0.0.2:50051'], logOffset: 2, isDraining: false },
    ]);
    const pick = (more: object = {}) => a().pickLatent({ name, maxLag: 0, except: [], ...more });
    const none = { status: 'NOT_FOUND', code: 'NAMING_NO_LATENT' };
    await expect(pick()).rejects.toMatchObject(none);
    expect(await pick({ maxLag: 8 })).toMatchObject({ latent: { memberId: bob }, epoch: 1 });
    expect(methods.renew.response.parse(await b().renew(renewal(0, way.name(bob)))).record.latentCount).toBe(1);
    expect(methods.pickLatent.response.parse(await pick())).toMatchObject({ latent: { memberId: bob, logOffset: 10 } });
    await expect(pick({ except: [bob] })).rejects.toMatchObject(none);
    await b().renew(renewal(0, way.name(bob), { isDraining: true }));
    await expect(pick()).rejects.toMatchObject(none);
    await b().leave({ name, memberId: way.name(bob) });
    await expect(b().renew(renewal(0, way.name(bob)))).rejects.toMatchObject({
      status: 'NOT_FOUND',
      code: 'NAMING_UNREGISTERED',
    });
  });

  test('who leaves has no lease any more, and its epoch stays', async () => {
    await a().register(held(2));
    await a().leave({ name, memberId: way.name(ann) });
    expect((await a().resolve({ name })).record).toMatchObject({ epoch: 2, memberId: ann, leaseLeftMs: 0 });
    expect(await lookUp(naming.dnsPort, name, 'A')).toBe('');
    await a().renew(renewal(2, way.name(ann)));
    expect(await lookUp(naming.dnsPort, name, 'A')).toBe('10.0.0.1');
  });

  test('all names are listed, without their latents', async () => {
    await a().register(held(1));
    await b().registerLatent(latent());
    const { records } = methods.list.response.parse(await a().list({ after: '' }));
    expect(records.find(record => record.name === name)).toMatchObject({ epoch: 1, latents: [], latentCount: 1 });
    const after = await a().list({ after: name });
    expect(after.records.some(record => record.name === name)).toBe(false);
  });

  const refusals: Refused[] = [
    ['a name that nobody has registered', to => to.resolve({ name: 'nobody.lab' }), { code: 'NAMING_NAME' }],
    [
      'a renewal of what is not registered',
      (to, memberId) => to.renew(renewal(1, memberId, { name: 'nobody.lab' })),
      { status: 'NOT_FOUND', code: 'NAMING_UNREGISTERED' },
    ],
    ...(
      [
        ['no name', { name: 'no_name' }, /^name: must be a host name/],
        ['a name too long', { name: `${'a.'.repeat(127)}lab` }, /^name: must be at most 253/],
        ['an address', { name: '10.0.0.1' }, /^name: must be/],
        ['no address', { addresses: ['10.0.0.1'] }, /^addresses.0: must be address:port/],
        ['too many addresses', { addresses: Array(9).fill('10.0.0.1:1') }, /^addresses: must be at most 8/],
        ['no epoch', { epoch: 0 }, /^epoch: must be at least 1/],
        ['a migration with a blank', { migrationId: 'a b' }, /^migrationId: must be/],
      ] as const
    ).map(
      ([what, wrong, message]): Refused => [
        what,
        (to, memberId) => to.register({ ...held(1), memberId, ...wrong } as never),
        { status: 'INVALID_ARGUMENT', code: 'NAMING_REQUEST', message: expect.stringMatching(message) },
      ],
    ),
    [
      'an epoch not above the one expected',
      (to, memberId) => to.compareAndSet({ ...held(3), memberId, expectedEpoch: 3 }),
      { status: 'INVALID_ARGUMENT', code: 'NAMING_REQUEST' },
    ],
  ];
  test.each(refusals)('%s is refused with its code', async (_, call, failure) => {
    await expect(call(a(), way.name(ann))).rejects.toMatchObject(failure);
  });
});

describe('over the bus alone', () => {
  const held = (name: string, memberId = '') => ({
    ...{ name, memberId, addresses, epoch: 1, migrationId: 'm1', logOffset: 0 },
  });

  test('a member writes for itself, and nobody else; who is no member reads', async () => {
    const name = `${uniqueName('name')}.lab`;
    const denied = { status: 'PERMISSION_DENIED', code: 'NAMING_CALLER' };
    await expect(namingClient(busOf(ann)).register(held(name, bob))).rejects.toMatchObject(denied);
    for (const memberId of ['', ann])
      await expect(namingClient(adminBus).register(held(name, memberId))).rejects.toMatchObject(denied);
    expect((await namingClient(busOf(ann)).register(held(name, ann))).record?.memberId).toBe(ann);
    expect((await namingClient(adminBus).resolve({ name })).record?.memberId).toBe(ann);
    await expect(namingClient(busOf(ann)).forget({ name })).rejects.toMatchObject({ code: 'NAMING_FORGET' });
  });

  test('changes are told on naming.events, with the name as key', async () => {
    const name = `${uniqueName('name')}.lab`;
    const heard: NameChanged[] = [];
    const consumer = await busOf(bob).consume(
      { name: '', exclusive: true, why: 'test' },
      ({ body, type }) => {
        expect(type).toBe('warren.naming.v1.NameChanged');
        heard.push(NameChanged.decode(body));
        return 'ack';
      },
      { prefetch: 10, bindings: () => [{ exchange: 'naming.events', key: name }] },
    );
    onTestFinished(() => consumer.close());
    const me = namingClient(busOf(ann));
    await me.register(held(`${uniqueName('other')}.lab`));
    await me.register(held(name));
    await me.leave({ name, memberId: '' });
    await until(
      () => heard.length,
      count => count >= 2,
    );
    expect(heard).toMatchObject([
      { kind: 'moved', record: { name, memberId: ann, epoch: 1 } },
      { kind: 'expired', record: { name, leaseLeftMs: 0 } },
    ]);
  });

  test('a call that comes while naming restarts is answered by the next, which knows what was answered before', async () => {
    const name = `${uniqueName('name')}.lab`;
    const me = namingClient(busOf(ann));
    await me.register(held(name));
    await naming.close();
    await expect(me.resolve({ name }, { deadlineMs: 100 })).rejects.toMatchObject({ code: 'BUS_DEADLINE' });
    const waiting = me.resolve({ name }, { deadlineMs: 20_000 });
    naming = await start(serverBus, dataDir);
    // Nobody is taken for dead because naming was away.
    expect((await waiting).record).toMatchObject({ epoch: 1, memberId: ann, leaseLeftMs: expect.closeTo(3_000, -3) });
  });

  test('a lost database is rebuilt from what servers say with their next renewal', async () => {
    const name = `${uniqueName('name')}.lab`;
    const standings: Record<MemberId, Standing> = {
      [ann]: { role: 'active', epoch: 5, migrationId: 'm5', addresses, logOffset: 9 },
      [bob]: { role: 'latent', isDraining: false, addresses: [], logOffset: 9 },
    };
    const kept = ([ann, bob] as const).map(id =>
      keepRegistered(
        { client: namingClient(busOf(id)), standing: () => standings[id] },
        { name, memberId: '', renewMs: 100 },
      ),
    );
    onTestFinished(async () => void (await Promise.all(kept.map(each => each.close()))));
    const me = namingClient(adminBus);
    const known = async () => (await me.resolve({ name }).catch(() => undefined))?.record;
    const isWhole = (record: Awaited<ReturnType<typeof known>>) =>
      record?.epoch === 5 && record.memberId === ann && record.latentCount === 1;
    await until(known, isWhole);
    await naming.close();
    naming = await start(serverBus, await temporaryDir());
    token = '';
    await until(known, isWhole);
  });

  test('a second naming stands by', async () => {
    const other = bus(roles.naming('classic'));
    await other.ready();
    const second = await start(other, await temporaryDir());
    onTestFinished(async () => {
      await second.close();
      await other.close(200);
    });
    await until(
      async () => (await other.depth('naming.rpc')).consumers,
      count => count === 2,
    );
    const name = `${uniqueName('name')}.lab`;
    const me = namingClient(busOf(ann));
    await me.register(held(name));
    for (let i = 0; i < 4; i++) expect((await me.resolve({ name })).record?.epoch).toBe(1);
  });
});

test('on a quorum queue as well', async () => {
  const own = await ownBroker();
  const quorum = bus(roles.naming('quorum'), own.url);
  const caller = bus(roles.caller(), own.url);
  const second = await start(quorum, await temporaryDir(), 'quorum');
  onTestFinished(async () => {
    await second.close();
    await Promise.all([quorum.close(200), caller.close(200)]);
  });
  await Promise.all([quorum.ready(), caller.ready()]);
  expect(await namingClient(caller).list({ after: '' })).toEqual({ records: [], next: '' });
});
