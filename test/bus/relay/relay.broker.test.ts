import { createHash, randomBytes } from 'node:crypto';
import { connect as connectRaw } from 'amqplib';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { LoginResponse } from '../../../proto/gen/warren/directory/v1/directory.ts';
import { createBrokerAccounts } from '../../../services/bus/accounts/management.ts';
import { hashBrokerPassword } from '../../../services/bus/accounts/password-hash.ts';
import { memberAccount } from '../../../services/bus/accounts/specs.ts';
import { createBus } from '../../../services/bus/amqp-bus.ts';
import type { Bus } from '../../../services/bus/bus.ts';
import { serveCalls } from '../../../services/bus/calls.ts';
import { rpcKey } from '../../../services/bus/own-keys.ts';
import { serveRelays } from '../../../services/bus/relay/relay-server.ts';
import { createRelays, type Relays } from '../../../services/bus/relay/relays.ts';
import { roles } from '../../../services/bus/topology.ts';
import { createMemberKeys, type MemberKeys } from '../../../services/lib/identity/keys.ts';
import { brokerAccountOf, type MemberId } from '../../../services/lib/identity/member-id.ts';
import { randomHex } from '../../../services/lib/random.ts';
import { CallFailure } from '../../../services/lib/rpc/call-failure.ts';
import { type Caller, type Handlers, served } from '../../../services/lib/rpc/definition.ts';
import type { LocalBroker } from '../../../services/up/local-broker.ts';
import { ownBroker } from '../../support/broker.ts';
import { sampleService } from '../../support/sample-service.ts';

let broker: LocalBroker;
let directory: Bus;
beforeAll(async () => {
  broker = await ownBroker({ management: true });
  // Declares what members expect.
  directory = createBus({ urls: [broker.url], name: 'directory', role: roles.directory('classic') }, () => {});
  await directory.ready();
});
afterAll(async () => {
  await directory?.close();
  await broker?.close();
});

const ends: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

/** Milliseconds that the members' clock is ahead, to be idle in no time. */
let ahead = 0;
const clock = (): number => performance.now() + ahead;

interface Member {
  readonly keys: MemberKeys;
  readonly bus: Bus;
  readonly relays: Relays;
  readonly warnings: string[];
}

async function member(
  handlers: Partial<Handlers<typeof sampleService>> = {},
  admit: (id: MemberId) => void = () => {},
): Promise<Member & { drop(id: MemberId): void; close(): Promise<void> }> {
  const keys = createMemberKeys();
  const password = randomHex(64);
  const accounts = createBrokerAccounts(broker.httpUrl ?? '');
  await accounts.put(memberAccount(keys.id, hashBrokerPassword(password, randomBytes(4)), []));
  const url = new URL(broker.url);
  url.username = brokerAccountOf(keys.id);
  url.password = password;
  const warnings: string[] = [];
  const warn = (line: string): void => void warnings.push(line);
  const bus = createBus({ urls: [url.href], name: 'member', role: roles.member() }, warn);
  ends.push(() => bus.close());
  await bus.ready();
  const needs = { bus, keys, clock, warn };
  const all = { ping: async () => ({ leaseMs: 1 }), count: async function* () {}, ...handlers };
  const server = serveRelays(needs, [served(sampleService, all)], admit);
  ends.push(() => server.close());
  const bindings = [{ exchange: 'm', key: rpcKey(brokerAccountOf(keys.id)) }];
  const calls = await serveCalls(bus, { name: '', exclusive: true, why: 'test' }, [server.service], {
    ...{ atOnce: 8, bindings, warn },
  });
  const relays = createRelays(needs);
  ends.push(() => relays.close());
  return { keys, bus, relays, warnings, drop: server.drop, close: () => calls.close() };
}

const ping = { token: 't', addresses: [] };
const login = { username: 'u', password: 'p', addresses: [] };
const message = (peerId: string): LoginResponse => LoginResponse.create({ peerId });

describe('a call through the broker', () => {
  test('reaches the handler of the member that was meant, which knows who calls', async () => {
    let caller: Caller | undefined;
    const bob = await member({
      ping: async ({ token }, from) => {
        caller = from;
        return { leaseMs: token.length };
      },
    });
    const ann = await member();
    expect(await ann.relays.client(bob.keys.id, sampleService).ping({ token: 'four', addresses: [] })).toEqual({
      leaseMs: 4,
    });
    expect(caller?.memberId).toBe(ann.keys.id);
  });

  test('streams megabytes unharmed, in order, in answers of any size', async () => {
    const sizes = [
      0,
      1,
      124 * 1024,
      124 * 1024 + 1,
      1024 * 1024,
      3_900_000,
      ...Array.from({ length: 200 }, () => 60_000),
    ];
    const texts = sizes.map(size =>
      randomBytes(Math.ceil(size / 2))
        .toString('hex')
        .slice(0, size),
    );
    const bob = await member({
      count: async function* () {
        for (const text of texts) yield message(text);
      },
    });
    const ann = await member();
    const hash = createHash('sha256');
    let at = 0;
    for await (const { peerId } of ann.relays.client(bob.keys.id, sampleService).count(login)) {
      expect(peerId.length).toBe(sizes[at++]);
      hash.update(peerId);
    }
    expect(at).toBe(texts.length);
    expect(hash.digest('hex')).toBe(createHash('sha256').update(texts.join('')).digest('hex'));
  });

  test('is not answered faster than it is read, and many go side by side', async () => {
    let made = 0;
    const bob = await member({
      count: async function* ({ username }) {
        if (username === 'endless')
          for (;;) {
            made++;
            yield message('x'.repeat(100_000));
          }
        for (let at = 0; at < 50; at++) yield message(`${username} ${at}`);
      },
    });
    const ann = await member();
    const client = ann.relays.client(bob.keys.id, sampleService);
    const slow = client.count({ ...login, username: 'endless' })[Symbol.asyncIterator]();
    await slow.next();
    const others = Array.from({ length: 20 }, async (_, n) => {
      const seen: string[] = [];
      for await (const { peerId } of client.count({ ...login, username: `n${n}` })) seen.push(peerId);
      expect(seen).toEqual(Array.from({ length: 50 }, (_, at) => `n${n} ${at}`));
    });
    await Promise.all(others);
    // 1 MiB of credit, of which one answer was taken.
    expect(made).toBeLessThan(30);
    await slow.return?.();
  });

  test('fails with what the handler said, also in the middle', async () => {
    const bob = await member({
      ping: async () => {
        throw new CallFailure('RESOURCE_EXHAUSTED', 'TEST_BUSY', 'zu viele Schlüssel', { retryAfterMs: 1234 });
      },
      count: async function* () {
        yield message('one');
        throw new CallFailure('DATA_LOSS', 'TEST_CHANGED', 'the file changed');
      },
    });
    const ann = await member();
    const client = ann.relays.client(bob.keys.id, sampleService);
    await expect(client.ping(ping)).rejects.toMatchObject({
      status: 'RESOURCE_EXHAUSTED',
      code: 'TEST_BUSY',
      message: 'zu viele Schlüssel',
      retryAfterMs: 1234,
    });
    const seen: string[] = [];
    const reading = (async () => {
      for await (const { peerId } of client.count(login)) seen.push(peerId);
    })();
    await expect(reading).rejects.toMatchObject({ status: 'DATA_LOSS', code: 'TEST_CHANGED' });
    expect(seen).toEqual(['one']);
  });

  test('that its caller leaves, or whose time is over, ends at the handler', async () => {
    const heard = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const bob = await member({
      ping: (_request, { signal }) => new Promise(() => signal.addEventListener('abort', () => heard[0]?.resolve())),
      count: async function* (_request, { signal }) {
        yield message('first');
        await new Promise(resolve => signal.addEventListener('abort', resolve));
        heard[1]?.resolve();
      },
    });
    const ann = await member();
    const client = ann.relays.client(bob.keys.id, sampleService);
    // First the one that opens the channel, which may take longer than the other one has.
    for await (const _ of client.count(login)) break;
    await heard[1]?.promise;
    await expect(client.ping(ping, { deadlineMs: 1_000 })).rejects.toMatchObject({ status: 'DEADLINE_EXCEEDED' });
    await heard[0]?.promise;
  });

  test('that takes its time is not taken for lost, when nothing was said before for long', async () => {
    const bob = await member({
      ping: async ({ token }) => {
        // Longer than from one look at the channel to the next.
        if (token === 'slow') await new Promise(resolve => setTimeout(resolve, 6_000));
        return { leaseMs: 1 };
      },
    });
    const ann = await member();
    const client = ann.relays.client(bob.keys.id, sampleService);
    await client.ping(ping);
    ahead += 30_000;
    expect(await client.ping({ token: 'slow', addresses: [] })).toEqual({ leaseMs: 1 });
  });

  test('ends with its deadline, or its signal, while the channel is being opened, too', async () => {
    const bob = await member();
    const ann = await member();
    const frozen = await member();
    const bindings = () => [{ exchange: 'm', key: rpcKey(brokerAccountOf(frozen.keys.id)) }];
    await frozen.close();
    await frozen.bus.consume({ name: '', exclusive: true, why: 'test' }, () => 'ack', { noAck: true, bindings });
    expect(await ann.relays.client(bob.keys.id, sampleService).ping(ping)).toEqual({ leaseMs: 1 });
    const client = ann.relays.client(frozen.keys.id, sampleService);
    const begun = performance.now();
    await expect(client.ping(ping, { deadlineMs: 200 })).rejects.toMatchObject({ status: 'DEADLINE_EXCEEDED' });
    const signal = AbortSignal.timeout(200);
    await expect(client.ping(ping, { signal })).rejects.toMatchObject({ status: 'CANCELLED' });
    const stream = client.count(login, { deadlineMs: 200 })[Symbol.asyncIterator]();
    await expect(stream.next()).rejects.toMatchObject({ status: 'DEADLINE_EXCEEDED' });
    expect(performance.now() - begun).toBeLessThan(3_000);
  });

  test('to a member who is not there is UNAVAILABLE at once', async () => {
    const ann = await member();
    await expect(ann.relays.client(createMemberKeys().id, sampleService).ping(ping)).rejects.toMatchObject({
      status: 'UNAVAILABLE',
      code: 'RELAY_OPEN',
    });
  });

  test('of who is not admitted is refused; of who no longer is, ends', async () => {
    const began = Promise.withResolvers<void>();
    let admitted = false;
    const bob = await member(
      {
        count: async function* (_request, { signal }) {
          yield message('first');
          began.resolve();
          await new Promise(resolve => signal.addEventListener('abort', resolve));
        },
      },
      () => {
        if (!admitted) throw new CallFailure('PERMISSION_DENIED', 'TEST_NOT_YOU', 'not you');
      },
    );
    const ann = await member();
    const client = ann.relays.client(bob.keys.id, sampleService);
    await expect(client.ping(ping)).rejects.toMatchObject({ code: 'TEST_NOT_YOU' });
    admitted = true;
    const answers = client.count(login)[Symbol.asyncIterator]();
    await answers.next();
    await began.promise;
    admitted = false;
    bob.drop(ann.keys.id);
    await expect(answers.next()).rejects.toMatchObject({ status: 'UNAVAILABLE' });
    await expect(client.ping(ping)).rejects.toMatchObject({ code: 'TEST_NOT_YOU' });
  });
});

describe('a broker that dies', () => {
  test('ends what runs, and what is called once it is back goes again', async () => {
    const heard = Promise.withResolvers<void>();
    const bob = await member({
      count: async function* (_request, { signal }) {
        yield message('first');
        await new Promise(resolve => signal.addEventListener('abort', resolve));
        heard.resolve();
      },
    });
    const ann = await member();
    const client = ann.relays.client(bob.keys.id, sampleService);
    const answers = client.count(login)[Symbol.asyncIterator]();
    await answers.next();
    await broker.kill();
    await expect(answers.next()).rejects.toMatchObject({ status: 'UNAVAILABLE', code: 'RELAY_LOST' });
    await heard.promise;
    await expect(client.ping(ping)).rejects.toMatchObject({ status: 'UNAVAILABLE' });
    await broker.start();
    await Promise.all([ann.bus.ready(), bob.bus.ready()]);
    expect(await client.ping(ping)).toEqual({ leaseMs: 1 });
  });
});

describe('what the broker sees', () => {
  test('is none of what is said, both ways', async () => {
    const secret = 'the treasure is under the old oak';
    const bob = await member({
      count: async function* () {
        for (let at = 0; at < 20; at++) yield message(secret.repeat(100));
      },
    });
    const ann = await member();
    // The operator: reads all that goes over the exchange.
    const operator = await connectRaw(broker.url);
    ends.push(() => operator.close());
    const channel = await operator.createChannel();
    const { queue } = await channel.assertQueue('', { exclusive: true });
    await channel.bindQueue(queue, 'm', '#');
    const seen: { type: string; body: Buffer }[] = [];
    await channel.consume(
      queue,
      got => {
        if (got) seen.push({ type: String(got.properties.type), body: got.content });
      },
      { noAck: true },
    );
    for await (const { peerId } of ann.relays.client(bob.keys.id, sampleService).count({ ...login, password: secret }))
      expect(peerId).toContain(secret);
    const frames = () => seen.filter(({ type }) => type === 'warren.bus.v1.RelayFrame');
    await expect.poll(() => frames().length).toBeGreaterThan(20);
    for (const { body } of seen) {
      expect(body.includes('treasure')).toBe(false);
      expect(body.includes('test.v1.Sample')).toBe(false);
    }
  });

  test('cannot be said again, nor changed: what does not fit ends the channel, and the next call opens another', async () => {
    const bob = await member();
    const ann = await member();
    const client = ann.relays.client(bob.keys.id, sampleService);
    const operator = await connectRaw(broker.url);
    ends.push(() => operator.close());
    const channel = await operator.createChannel();
    const { queue } = await channel.assertQueue('', { exclusive: true });
    await channel.bindQueue(queue, 'm', `m.${bob.keys.id}.relay.*`);
    const first = Promise.withResolvers<{ key: string; body: Buffer }>();
    await channel.consume(
      queue,
      got => {
        if (got) first.resolve({ key: got.fields.routingKey, body: got.content });
      },
      { noAck: true },
    );
    await client.ping(ping);
    const { key, body } = await first.promise;
    const properties = { type: 'warren.bus.v1.RelayFrame' };
    // Not from the member: not looked at.
    channel.publish('m', key, body, properties);
    expect(await client.ping(ping)).toEqual({ leaseMs: 1 });
    expect(bob.warnings).toEqual([]);
    // As the member itself would say it twice.
    ann.bus.send({ type: 'warren.bus.v1.RelayFrame', key, body });
    await expect.poll(() => bob.warnings.join()).toContain('is closed');
    await expect.poll(() => client.ping(ping).catch(() => undefined)).toEqual({ leaseMs: 1 });
  });
});
