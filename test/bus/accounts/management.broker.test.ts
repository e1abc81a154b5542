import { randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type ChannelModel, connect } from 'amqplib';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import type { AccountSpec, BrokerAccounts } from '../../../services/bus/accounts/accounts.ts';
import { createBrokerAccounts } from '../../../services/bus/accounts/management.ts';
import { hashBrokerPassword } from '../../../services/bus/accounts/password-hash.ts';
import { reconcile } from '../../../services/bus/accounts/reconcile.ts';
import { inviteAccount, memberAccount } from '../../../services/bus/accounts/specs.ts';
import { rights } from '../../../services/bus/rights.ts';
import type { MemberId } from '../../../services/lib/identity/member-id.ts';
import { randomHex } from '../../../services/lib/random.ts';
import type { LocalBroker } from '../../../services/up/local-broker.ts';
import { httpClient } from '../../broker/http-client.ts';
import { ownBroker, uniqueName } from '../../support/broker.ts';
import { until } from '../../support/until.ts';

/** One port, the same on every broker. */

let own: LocalBroker;
let httpUrl = '';
let accounts: BrokerAccounts;

beforeAll(async () => {
  own = await ownBroker({ management: true });
  httpUrl = own.httpUrl ?? '';
  accounts = createBrokerAccounts(httpUrl);
  const connection = await connect(own.url);
  await (await connection.createChannel()).assertExchange('m', 'topic', { durable: true });
  await connection.close();
}, 120_000);

afterAll(() => own?.close(), 30_000);

interface Member {
  readonly id: MemberId;
  readonly password: string;
  readonly spec: AccountSpec;
}

function member(services: readonly string[] = [], password = randomHex(64), id = randomHex(64) as MemberId): Member {
  return { id, password, spec: memberAccount(id, hashBrokerPassword(password, randomBytes(4)), services) };
}

interface Client {
  readonly connection: ChannelModel;
  /** Why it was closed. */
  readonly closed: Promise<string>;
}

async function login(name: string, password: string): Promise<Client> {
  const url = new URL(own.url);
  url.username = name;
  url.password = password;
  const connection = await connect(url.href, { timeout: 5_000 });
  let why = '';
  connection.on('error', error => {
    why = error.message;
  });
  const closed = new Promise<string>(resolve => connection.on('close', error => resolve(why || String(error))));
  onTestFinished(() => connection.close().catch(() => {}));
  return { connection, closed };
}

async function mayDeclare({ connection }: Client, queue: string): Promise<boolean> {
  const channel = await connection.createChannel();
  channel.on('error', () => {});
  try {
    await channel.assertQueue(queue, { durable: true });
    return true;
  } catch {
    return false;
  }
}

const isOpen = async ({ connection }: Client): Promise<boolean> => {
  const channel = await connection.createChannel();
  await channel.close();
  return true;
};

test('who is put can log in and do what it may; put again as it is, it stays connected', async () => {
  const { id, password, spec } = member();
  await accounts.put(spec);
  const client = await login(spec.name, password);
  expect(await mayDeclare(client, `m.${id}.dm`)).toBe(true);
  expect(await mayDeclare(client, `m.${randomHex(64)}.dm`)).toBe(false);
  await accounts.put(spec);
  expect(await isOpen(client)).toBe(true);
  await expect(login(spec.name, 'guessed')).rejects.toThrow(/403|ACCESS_REFUSED/);
});

test('it is listed as it was put, and by its prefix only', async () => {
  const { spec } = member(['web', 'shop.eu']);
  const invite = inviteAccount(uniqueName('x'), hashBrokerPassword('p', randomBytes(4)));
  await accounts.put(spec);
  await accounts.put(invite);
  const sorted = (topics: AccountSpec['rights']['topics']) =>
    topics.toSorted((a, b) => a.exchange.localeCompare(b.exchange));
  for (const [prefix, mine, other] of [
    ['m.', spec, invite],
    ['invite.', invite, spec],
  ] as const) {
    const found = await accounts.list(prefix);
    const listed = found.find(({ name }) => name === mine.name);
    expect({ ...listed, rights: { ...listed?.rights, topics: sorted(listed?.rights?.topics ?? []) } }).toEqual({
      ...mine,
      rights: { ...mine.rights, topics: sorted(mine.rights.topics) },
    });
    expect(found.map(({ name }) => name)).not.toContain(other.name);
  }
  const everybody = (await accounts.list('')).map(({ name }) => name);
  expect(everybody).toContain(new URL(own.url).username);
});

test('with another password the old one, and who came with it, is out', async () => {
  const { id, password, spec } = member();
  await accounts.put(spec);
  const client = await login(spec.name, password);
  const other = member([], randomHex(64), id);
  await accounts.put(other.spec);
  expect(await client.closed).toMatch(/320|CONNECTION.FORCED/);
  await expect(login(spec.name, password)).rejects.toThrow(/403|ACCESS_REFUSED/);
  expect(await isOpen(await login(spec.name, other.password))).toBe(true);
});

test('with other rights it is disconnected, and comes back to them with the password it has', async () => {
  const { id, password, spec } = member(['web', 'shop']);
  await accounts.put(spec);
  const before = await login(spec.name, password);
  await accounts.setRights(spec.name, memberAccount(id, '', ['shop']).rights);
  await before.closed;
  const { rights } = (await accounts.list(spec.name))[0] ?? {};
  expect(rights?.read).toContain('shop');
  expect(rights?.read).not.toContain('web');
  const client = await login(spec.name, password);
  await accounts.setRights(spec.name, memberAccount(id, '', ['shop']).rights);
  expect(await isOpen(client)).toBe(true);
  // Fewer topics than before.
  await accounts.setRights(spec.name, inviteAccount('x', '').rights);
  expect((await accounts.list(spec.name))[0]?.rights).toEqual(inviteAccount('x', '').rights);
  await expect(accounts.setRights('m.nobody', rights ?? spec.rights)).rejects.toMatchObject({
    code: 'ACCOUNTS_UNKNOWN',
  });
});

test('who is removed is out within two seconds with its queues and exchanges, and nobody else; removed twice is removed', async () => {
  const gone = member();
  const stays = member();
  for (const { spec } of [gone, stays]) await accounts.put(spec);
  const clients = await Promise.all([gone, gone, stays].map(({ spec, password }) => login(spec.name, password)));
  const [first, second, other] = clients as [Client, Client, Client];
  for (const queue of [`m.${gone.id}.dm`, `m.${gone.id}.relay.1`]) expect(await mayDeclare(first, queue)).toBe(true);
  expect(await mayDeclare(other, `m.${stays.id}.dm`)).toBe(true);
  const channel = await second.connection.createChannel();
  await channel.assertQueue('', { exclusive: true });
  await channel.assertExchange(`m.${gone.id}.x`, 'topic', { durable: true });
  const startedAt = performance.now();
  await accounts.remove(gone.spec.name);
  for (const { closed } of [first, second]) expect(await closed).toMatch(/320|CONNECTION.FORCED|close/i);
  expect(performance.now() - startedAt).toBeLessThan(2_000);
  await expect(login(gone.spec.name, gone.password)).rejects.toThrow(/403|ACCESS_REFUSED/);
  expect(await accounts.list(gone.spec.name)).toEqual([]);
  const left: string[] = [];
  for (const what of ['queues', 'exchanges'])
    left.push(
      ...((await httpClient(httpUrl)('GET', `/api/${what}/%2F`)).json as { name: string }[]).map(({ name }) => name),
    );
  expect(left).toContain(`m.${stays.id}.dm`);
  expect(left.filter(name => name.startsWith(`m.${gone.id}`))).toEqual([]);
  expect(await isOpen(other)).toBe(true);
  await accounts.remove(gone.spec.name);
  await accounts.remove('m.never-there');
});

test('who keeps accounts needs no right to any message, only to delete queues of members', async () => {
  const ask = httpClient(httpUrl);
  const secret = randomHex(64);
  const { configure, write, read } = rights.accountsKeeper();
  await ask('PUT', '/api/users/keeper', { password: secret, tags: 'administrator' });
  await ask('PUT', '/api/permissions/%2F/keeper', { configure, write, read });
  const url = new URL(httpUrl);
  url.username = 'keeper';
  url.password = secret;
  const port = createBrokerAccounts(url.href);
  const { id, password, spec } = member();
  await port.put(spec);
  const client = await login(spec.name, password);
  expect(await mayDeclare(client, `m.${id}.dm`)).toBe(true);
  await port.setRights(spec.name, memberAccount(id, '', ['web']).rights);
  await client.closed;
  await port.remove(spec.name);
  expect(((await ask('GET', '/api/queues/%2F')).json as { name: string }[]).map(({ name }) => name)).not.toContain(
    `m.${id}.dm`,
  );
  // As a client of the broker it gets nowhere.
  const keeper = await login('keeper', secret);
  expect(await mayDeclare(keeper, 'proxy.jobs.x')).toBe(false);
  expect((await ask('DELETE', '/api/users/keeper')).status).toBe(204);
});

test('it has no more connections and channels open than it may', async () => {
  const { password, spec } = member();
  await accounts.put({ ...spec, limits: { connections: 2, channels: 3 } });
  const first = await login(spec.name, password);
  const second = await login(spec.name, password);
  await expect(login(spec.name, password)).rejects.toThrow();
  await first.connection.createChannel();
  await second.connection.createChannel();
  await second.connection.createChannel();
  await expect(second.connection.createChannel()).rejects.toThrow();
  expect(await second.closed).toMatch(/530|NOT.ALLOWED/);
  // What it gave back it may have again.
  const third = await until(
    () => login(spec.name, password).catch(() => undefined),
    client => client !== undefined,
  );
  expect(third && (await isOpen(third))).toBe(true);
  await accounts.put(spec);
  const many = await Promise.all(Array.from({ length: 4 }, () => login(spec.name, password)));
  for (const client of many) expect(await isOpen(client)).toBe(true);
});

describe('over a restart of the broker', () => {
  test.each(['stop', 'kill'] as const)(
    'accounts are kept, and what was missed is made up for (%s)',
    async how => {
      const stays = member(['web']);
      const leaves = member();
      await accounts.put(stays.spec);
      await accounts.put(leaves.spec);
      await own[how]();
      await expect(reconcile(() => [], accounts)).rejects.toMatchObject({ code: 'ACCOUNTS_UNREACHABLE' });
      const comes = member();
      await own.start();
      const others = (await accounts.list(''))
        .filter(({ name }) => !/^(?:m|invite)\./.test(name))
        .map(({ name }) => name);
      const done = await reconcile(() => [stays.spec, comes.spec], accounts);
      expect(done.put.map(({ name }) => name)).toEqual([comes.spec.name]);
      expect(done.remove).toContain(leaves.spec.name);
      expect(await reconcile(() => [stays.spec, comes.spec], accounts)).toEqual({ put: [], remove: [] });
      for (const { spec, password } of [stays, comes])
        expect(await isOpen(await login(spec.name, password))).toBe(true);
      await expect(login(leaves.spec.name, leaves.password)).rejects.toThrow(/403|ACCESS_REFUSED/);
      expect((await accounts.list('')).map(({ name }) => name).sort()).toEqual(
        [...others, stays.spec.name, comes.spec.name].sort(),
      );
    },
    120_000,
  );
});

describe('what cannot be done is one line, without the password', () => {
  const secret = 'wrong-and-secret';

  function withAccount(user: string, password: string): string {
    const url = new URL(httpUrl);
    url.username = user;
    url.password = password;
    return url.href;
  }

  async function failureOf(url: string, options = {}): Promise<{ code: string; message: string }[]> {
    const port = createBrokerAccounts(url, options);
    const { spec } = member();
    const failures: { code: string; message: string }[] = [];
    for (const act of [
      () => port.list('m.'),
      () => port.put(spec),
      () => port.setRights(spec.name, spec.rights),
      () => port.remove(spec.name),
    ])
      failures.push(
        await act().then(
          () => Promise.reject(new Error('it was done')),
          error => error,
        ),
      );
    for (const { message } of failures) {
      expect(message).not.toMatch(/\n/);
      expect(message).not.toContain(secret);
      expect(message).toContain(new URL(url).host);
    }
    return failures;
  }
  const codes = async (url: string, options = {}): Promise<Set<string>> =>
    new Set((await failureOf(url, options)).map(({ code }) => code));

  test('a wrong name or password', async () => {
    expect(await codes(withAccount(new URL(httpUrl).username, secret))).toEqual(new Set(['ACCOUNTS_LOGIN']));
    expect(await codes(withAccount('nobody', secret))).toEqual(new Set(['ACCOUNTS_LOGIN']));
  });

  test('an account that is no administrator', async () => {
    const { spec } = member();
    await accounts.put({ ...spec, passwordHash: hashBrokerPassword(secret, randomBytes(4)) });
    expect(await codes(withAccount(spec.name, secret))).toEqual(new Set(['ACCOUNTS_RIGHTS']));
  });

  test('nobody there', async () => {
    const url = new URL(httpUrl);
    url.port = '1';
    expect(await codes(url.href)).toEqual(new Set(['ACCOUNTS_UNREACHABLE']));
  });

  test('two nodes of three away, which the third one stands in for; all of them', async () => {
    const away = new URL(httpUrl);
    away.port = '1';
    const several = createBrokerAccounts([away.href, away.href, httpUrl]);
    const { spec } = member();
    await several.put(spec);
    expect((await several.list(spec.name)).map(({ name }) => name)).toEqual([spec.name]);
    await several.remove(spec.name);
    expect(await accounts.list(spec.name)).toEqual([]);
    await expect(createBrokerAccounts([away.href, away.href]).list('')).rejects.toMatchObject({
      code: 'ACCOUNTS_UNREACHABLE',
    });
  });

  test('one node of several frozen: the next is asked within the same deadline', async () => {
    const silent = createServer(() => {});
    await new Promise<void>(resolve => silent.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => {
      silent.closeAllConnections();
      silent.close();
    });
    const frozen = new URL(httpUrl);
    frozen.port = String((silent.address() as AddressInfo).port);
    const several = createBrokerAccounts([frozen.href, httpUrl], { deadlineMs: 4_000 });
    const startedAt = performance.now();
    await several.list('m.');
    expect(performance.now() - startedAt).toBeGreaterThan(1_900);
    const againAt = performance.now();
    await several.list('m.');
    expect(performance.now() - againAt).toBeLessThan(1_900);
  });

  test('something else there', async () => {
    const server = createServer((_request, response) => response.end('<html>welcome</html>'));
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => void server.close());
    const { port } = server.address() as AddressInfo;
    const strange = createBrokerAccounts(`http://a:${secret}@127.0.0.1:${port}`);
    await expect(strange.list('m.')).rejects.toMatchObject({ code: 'ACCOUNTS_REFUSED' });
    server.closeAllConnections();
  });

  test('a broker that does not answer, until the deadline', async () => {
    await own.freeze();
    try {
      const startedAt = performance.now();
      await expect(createBrokerAccounts(httpUrl, { deadlineMs: 300 }).list('m.')).rejects.toMatchObject({
        code: 'ACCOUNTS_UNREACHABLE',
        message: expect.stringContaining('no answer within 300 ms'),
      });
      expect(performance.now() - startedAt).toBeLessThan(3_000);
    } finally {
      await own.thaw();
    }
  });
});
