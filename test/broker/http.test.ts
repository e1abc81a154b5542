import { type Channel, type ChannelModel, connect } from 'amqplib';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { type EmbeddedBroker, startEmbeddedBroker } from '../../services/broker/broker.ts';
import { hashBrokerPassword, hashingAlgorithm } from '../../services/bus/accounts/password-hash.ts';
import { uniqueName } from '../support/broker.ts';
import { until } from '../support/until.ts';
import { httpClient } from './http-client.ts';

const account = { user: 'admin', password: 'right' };
let broker: EmbeddedBroker;
let api: string;
let ask: ReturnType<typeof httpClient>;

beforeAll(async () => {
  const options = { dir: undefined, account, version: '9.9.9', host: '127.0.0.1', port: 0 };
  broker = await startEmbeddedBroker({ ...options, http: { host: '127.0.0.1', port: 0 } }, () => {});
  api = `http://${account.user}:${account.password}@127.0.0.1:${broker.httpPort}`;
  ask = httpClient(api);
});
afterAll(() => broker.close());

async function client(user = account.user, password = account.password): Promise<ChannelModel> {
  const connection = await connect(`amqp://${user}:${password}@127.0.0.1:${broker.port}`, {
    noDelay: true,
    clientProperties: { connection_name: 'the test' },
  });
  connection.on('error', () => {});
  onTestFinished(() => connection.close().catch(() => {}));
  return connection;
}

async function channelOf(connection: ChannelModel): Promise<Channel> {
  const channel = await connection.createChannel();
  channel.on('error', () => {});
  return channel;
}

/** An account with these rights, gone when the test ends. */
async function addAccount(tags: string | string[] = '', rights?: object): Promise<string> {
  const user = uniqueName('user');
  expect((await ask('PUT', `/api/users/${user}`, { password: 'secret', tags })).status).toBe(201);
  if (rights) expect((await ask('PUT', `/api/permissions/%2F/${user}`, rights)).status).toBe(201);
  onTestFinished(async () => void (await ask('DELETE', `/api/users/${user}`)));
  return user;
}

const all = { configure: '.*', write: '.*', read: '.*' };

describe('what it shows', () => {
  test('a queue with its figures, in the words of RabbitMQ', async () => {
    const channel = await channelOf(await client());
    const { queue } = await channel.assertQueue(uniqueName('q'), {
      autoDelete: true,
      arguments: { 'x-expires': 60_000 },
    });
    for (const body of ['one', 'two', 'three']) channel.publish('', queue, Buffer.from(body));
    await channel.checkQueue(queue);
    await channel.get(queue, { noAck: true });
    const held = await channel.get(queue);
    const path = `/api/queues/%2F/${queue}`;
    const { json } = await ask('GET', path);
    expect(json).toMatchObject({
      name: queue,
      vhost: '/',
      type: 'classic',
      state: 'running',
      durable: true,
      auto_delete: true,
      exclusive: false,
      arguments: { 'x-expires': 60_000 },
      consumers: 0,
      messages: 2,
      messages_ready: 1,
      messages_unacknowledged: 1,
      message_stats: { publish: 3, deliver_get: 2 },
    });
    expect((json as { message_bytes: number }).message_bytes).toBeGreaterThanOrEqual(8);
    if (held) channel.ack(held);
    await channel.checkQueue(queue);
    expect((await ask('GET', path)).json).toMatchObject({ messages: 1, message_stats: { ack: 1 } });
    for (const list of ['/api/queues', '/api/queues/%2F']) {
      const { json: found } = await ask('GET', list);
      expect(found).toContainEqual(expect.objectContaining({ name: queue }));
    }
    const rate = await until(
      async () => (await ask('GET', path)).json as { message_stats: { publish_details: { rate: number } } },
      ({ message_stats: { publish_details } }) => publish_details.rate >= 0,
    );
    expect(rate.message_stats.publish_details.rate).toBeLessThan(100);
  });

  test('rates while messages flow', async () => {
    const channel = await channelOf(await client());
    const { queue } = await channel.assertQueue('', { exclusive: true });
    await channel.consume(queue, () => {}, { noAck: true });
    const timer = setInterval(() => channel.publish('', queue, Buffer.from('x')), 5);
    onTestFinished(() => clearInterval(timer));
    const isFlowing = (seen: unknown): boolean => {
      const { message_stats: stats } = seen as { message_stats: Record<string, { rate: number }> };
      return ['publish_details', 'deliver_details'].every(name => (stats[name]?.rate ?? 0) > 10);
    };
    await until(async () => (await ask('GET', `/api/queues/%2F/${queue}`)).json, isFlowing);
    await until(async () => (await ask('GET', '/api/overview')).json, isFlowing);
  });

  test('itself, and who asks', async () => {
    const { json } = await ask('GET', '/api/overview');
    expect(json).toMatchObject({
      product_name: 'Warren',
      product_version: '9.9.9',
      object_totals: { connections: expect.any(Number), channels: expect.any(Number), queues: expect.any(Number) },
      queue_totals: { messages: expect.any(Number), messages_ready: expect.any(Number) },
      message_stats: { publish: expect.any(Number), confirm: expect.any(Number) },
      alarm: null,
    });
    expect((await ask('GET', '/api/whoami')).json).toEqual({
      name: 'admin',
      tags: ['administrator'],
      limits: {},
    });
  });

  test('figures for Prometheus and a sign of life, to everybody', async () => {
    const stranger = httpClient(api, { user: '', password: '' });
    expect(await stranger('GET', '/livez')).toMatchObject({ status: 200, text: 'alive\n' });
    const { status, text } = await stranger('GET', '/metrics');
    expect(status).toBe(200);
    for (const name of [
      ...[
        'connections',
        'channels',
        'queues',
        'messages_ready',
        'messages_unacked',
        'held_bytes',
        'alarm',
        'log_bytes',
      ],
      ...['published_total', 'delivered_total', 'acked_total', 'confirmed_total', 'log_syncs_total'],
    ])
      expect(text).toMatch(new RegExp(`^warren_broker_${name} \\d+$`, 'm'));
  });
});

describe('what it does', () => {
  test('deletes a queue, but not the one that belongs to a connection', async () => {
    const channel = await channelOf(await client());
    const { queue } = await channel.assertQueue(uniqueName('q'));
    const { queue: own } = await channel.assertQueue('', { exclusive: true });
    expect((await ask('DELETE', `/api/queues/%2F/${queue}`)).status).toBe(204);
    expect((await ask('DELETE', `/api/queues/%2F/${queue}`)).status).toBe(404);
    const refused = await ask('DELETE', `/api/queues/%2F/${encodeURIComponent(own)}`);
    expect(refused).toMatchObject({ status: 400, json: { error: 'bad_request' } });
    expect(refused.text).not.toContain('\n');
  });

  test('lists exchanges and deletes one, but none that the broker has', async () => {
    const name = uniqueName('x');
    await (await channelOf(await client())).assertExchange(name, 'topic', { durable: true });
    const seen = { name, vhost: '/', type: 'topic', durable: true, auto_delete: false, internal: false };
    expect((await ask('GET', '/api/exchanges/%2F')).json).toContainEqual(seen);
    expect((await ask('DELETE', `/api/exchanges/%2F/${name}`)).status).toBe(204);
    expect((await ask('DELETE', `/api/exchanges/%2F/${name}`)).status).toBe(404);
    expect((await ask('DELETE', '/api/exchanges/%2F/amq.topic')).status).toBe(400);
  });

  test('lists connections and closes one, with a reason', async () => {
    const connection = await client();
    await connection.createChannel();
    const { json } = await ask('GET', '/api/connections');
    const found = (json as { name: string; user_provided_name: string }[]).filter(
      each => each.user_provided_name === 'the test',
    );
    expect(found.at(-1)).toMatchObject({ user: 'admin', state: 'running', channels: 1, protocol: 'AMQP 0-9-1' });
    const closed = new Promise<Error>(resolve => connection.on('close', resolve));
    for (const { name } of found)
      expect((await ask('DELETE', `/api/connections/${encodeURIComponent(name)}`)).status).toBe(204);
    expect((await closed).message).toContain('CONNECTION_FORCED');
    expect((await ask('DELETE', '/api/connections/nobody')).status).toBe(404);
  });

  test('an account that is removed is out at once', async () => {
    const user = await addAccount('', all);
    const connection = await client(user, 'secret');
    const closed = new Promise<Error>(resolve => connection.on('close', resolve));
    expect((await ask('DELETE', `/api/users/${user}`)).status).toBe(204);
    expect((await closed).message).toContain('CONNECTION_FORCED');
    await expect(client(user, 'secret')).rejects.toThrow(/ACCESS_REFUSED|403/);
    expect((await ask('GET', `/api/users/${user}`)).status).toBe(404);
  });

  test('changed rights count for connections that are open', async () => {
    const user = await addAccount('', { configure: '^mine', write: '', read: '' });
    const connection = await client(user, 'secret');
    const refused = await channelOf(connection);
    await expect(refused.assertQueue('yours', { autoDelete: true })).rejects.toThrow('ACCESS_REFUSED');
    const rights = { configure: '^yours', write: '', read: '' };
    expect((await ask('PUT', `/api/permissions/%2F/${user}`, rights)).status).toBe(204);
    expect((await ask('GET', `/api/permissions/%2F/${user}`)).json).toEqual({ user, vhost: '/', ...rights });
    const allowed = await channelOf(connection);
    await allowed.assertQueue('yours', { autoDelete: true });
    await allowed.deleteQueue('yours');
    const closed = new Promise<unknown>(resolve => connection.on('close', resolve));
    expect((await ask('DELETE', `/api/permissions/%2F/${user}`)).status).toBe(204);
    await closed;
  });

  test('topic permissions, each exchange its own', async () => {
    const user = await addAccount('', all);
    const path = `/api/topic-permissions/%2F/${user}`;
    const one = { exchange: 'amq.topic', write: '^mine\\.', read: '.*' };
    const two = { exchange: 'other', write: '', read: '' };
    expect((await ask('PUT', path, one)).status).toBe(201);
    expect((await ask('PUT', path, two)).status).toBe(201);
    expect((await ask('GET', path)).json).toEqual([one, two].map(each => ({ user, vhost: '/', ...each })));
    const channel = await (await client(user, 'secret')).createConfirmChannel();
    const refusal = new Promise<Error>(resolve => channel.on('error', resolve));
    channel.publish('amq.topic', 'mine.x', Buffer.from(''));
    await channel.waitForConfirms();
    channel.publish('amq.topic', 'yours.x', Buffer.from(''));
    expect((await refusal).message).toContain('ACCESS_REFUSED');
    expect((await ask('DELETE', `${path}/other`)).status).toBe(204);
    expect((await ask('GET', path)).json).toEqual([{ user, vhost: '/', ...one }]);
    expect((await ask('DELETE', path)).status).toBe(204);
    expect((await ask('GET', path)).json).toEqual([]);
  });

  test('takes a hash instead of a password, gives that back, and takes a password instead of it', async () => {
    const user = uniqueName('user');
    onTestFinished(async () => void (await ask('DELETE', `/api/users/${user}`)));
    const kept = {
      password_hash: hashBrokerPassword('first', Buffer.from('salt')),
      hashing_algorithm: hashingAlgorithm,
    };
    expect((await ask('PUT', `/api/users/${user}`, { ...kept, tags: 'monitoring' })).status).toBe(201);
    expect((await ask('GET', `/api/users/${user}`)).json).toEqual({
      name: user,
      tags: ['monitoring'],
      limits: {},
      ...kept,
    });
    const whoami = async (password: string): Promise<number> =>
      (await httpClient(api, { user, password })('GET', '/api/whoami')).status;
    // The second time it is known.
    for (const _ of [1, 2]) expect([await whoami('first'), await whoami('other')]).toEqual([200, 401]);
    await ask('PUT', `/api/users/${user}`, { password: 'other', tags: 'monitoring' });
    expect([await whoami('first'), await whoami('other')]).toEqual([401, 200]);
    expect((await ask('GET', `/api/users/${user}`)).json).not.toHaveProperty('password_hash');
    await ask('PUT', `/api/users/${user}`, { ...kept, tags: 'monitoring' });
    expect([await whoami('first'), await whoami('other')]).toEqual([200, 401]);
    // Other tags are no other password.
    await ask('PUT', `/api/users/${user}`, { tags: 'administrator' });
    expect([await whoami('first'), await whoami('other')]).toEqual([200, 401]);
  });

  test("an account's connections, all at once", async () => {
    const user = await addAccount('', all);
    const connections = [await client(user, 'secret'), await client(user, 'secret')];
    const others = await client();
    const path = `/api/connections/username/${user}`;
    expect((await ask('GET', path)).json).toEqual([
      expect.objectContaining({ user }),
      expect.objectContaining({ user }),
    ]);
    const closed = connections.map(each => new Promise<Error>(resolve => each.on('close', resolve)));
    expect((await ask('DELETE', path)).status).toBe(204);
    for (const why of await Promise.all(closed)) expect(why.message).toContain('CONNECTION_FORCED');
    expect((await ask('GET', path)).json).toEqual([]);
    await others.createChannel();
  });

  test('takes tags as a list and as text, and gives no secret back', async () => {
    const user = await addAccount('monitoring, other');
    expect((await ask('GET', `/api/users/${user}`)).json).toEqual({
      name: user,
      tags: ['monitoring', 'other'],
      limits: {},
    });
    const { json } = await ask('GET', '/api/users');
    expect(json).toContainEqual({ name: user, tags: ['monitoring', 'other'], limits: {} });
    expect((await ask('PUT', `/api/users/${user}`, { password: 'new', tags: ['administrator'] })).status).toBe(204);
    expect((await httpClient(api, { user, password: 'new' })('GET', '/api/whoami')).status).toBe(200);
    expect((await httpClient(api, { user, password: 'secret' })('GET', '/api/whoami')).status).toBe(401);
  });
});

describe('whom it refuses', () => {
  test('a wrong password, an unknown name, and whoever says nothing', async () => {
    for (const wrong of [
      { user: 'admin', password: 'wrong' },
      { user: 'nobody', password: 'wrong' },
    ]) {
      const answer = await httpClient(api, wrong)('GET', '/api/overview');
      expect(answer).toMatchObject({ status: 401, json: { error: 'not_authorized', reason: 'Login failed' } });
      expect(answer.headers.get('www-authenticate')).toContain('Basic');
    }
    const bare = await fetch(`http://127.0.0.1:${broker.httpPort}/api/users`);
    expect(bare.status).toBe(401);
  });

  test('in the same time for a name that is there and one that is not', async () => {
    const time = async (user: string): Promise<number> => {
      const before = performance.now();
      await httpClient(api, { user, password: 'wrong' })('GET', '/api/overview');
      return performance.now() - before;
    };
    const times: [known: number, unknown: number][] = [];
    for (let i = 0; i < 8; i++) times.push([await time('admin'), await time('nobody')]);
    const known = Math.min(...times.map(([first]) => first));
    const unknown = Math.min(...times.map(([, second]) => second));
    // Without deriving a key it would be a fiftieth; the machine is shared.
    expect(unknown / known).toBeGreaterThan(1 / 4);
    expect(unknown / known).toBeLessThan(4);
  });

  test('an account without a tag; one for monitoring may look and not touch', async () => {
    const none = httpClient(api, { user: await addAccount(), password: 'secret' });
    expect((await none('GET', '/api/overview')).status).toBe(403);
    const monitor = httpClient(api, { user: await addAccount('monitoring'), password: 'secret' });
    for (const path of ['overview', 'queues', 'connections', 'whoami'])
      expect((await monitor('GET', `/api/${path}`)).status).toBe(200);
    for (const path of ['users', 'permissions', 'topic-permissions'])
      expect((await monitor('GET', `/api/${path}`)).status).toBe(403);
    expect((await monitor('DELETE', '/api/queues/%2F/q')).status).toBe(403);
    expect((await monitor('PUT', '/api/users/mine', { password: 'x', tags: 'administrator' })).status).toBe(403);
  });

  test.each<[string, string, unknown, number, RegExp]>([
    ['PUT', '/api/users/x', '{', 400, /JSON/],
    ['PUT', '/api/users/x', { password: 1 }, 400, /password/],
    ['PUT', '/api/users/x', { tags: '' }, 400, /needs a password/],
    ['PUT', '/api/users/x', { password: 'x', password_hash: 'y' }, 400, /password_hash/],
    ['PUT', '/api/users/x', { password_hash: 'AAAA', tags: '' }, 400, /password_hash/],
    ['PUT', '/api/users/x', { password_hash: 'x', hashing_algorithm: 'md5' }, 400, /hashing_algorithm/],
    ['PUT', '/api/user-limits/admin/max-connections', { value: 'x' }, 400, /value/],
    ['PUT', '/api/user-limits/admin/max-queues', { value: 1 }, 404, /max-channels/],
    ['PUT', '/api/user-limits/admin/toString', { value: 1 }, 404, /max-channels/],
    ['PUT', '/api/user-limits/nobody/max-channels', { value: 1 }, 404, /nobody/],
    ['PUT', '/api/users/x', { password: 'x'.repeat(70_000) }, 413, /64 KiB/],
    ['PUT', '/api/permissions/%2F/admin', { configure: '(', write: '', read: '' }, 400, /regular expression/],
    ['PUT', '/api/permissions/%2F/admin', { configure: '' }, 400, /write/],
    ['PUT', '/api/permissions/%2F/nobody', all, 404, /nobody/],
    ['PUT', '/api/permissions/other/admin', all, 404, /virtual host/],
    ['GET', '/api/queues/%2F/none', undefined, 404, /none/],
    ['GET', '/api/nonsense', undefined, 404, /nonsense/],
    ['GET', '/nonsense', undefined, 404, /nonsense/],
  ])('%s %s %j with one line', async (method, path, body, status, reason) => {
    const answer = await ask(method, path, body);
    expect(answer.status).toBe(status);
    expect((answer.json as { reason: string }).reason).toMatch(reason);
    expect(answer.text).not.toMatch(/\n|node_modules/);
  });
});
