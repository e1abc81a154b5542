import { connect } from 'amqplib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createBus } from '../../services/bus/amqp-bus.ts';
import { rights } from '../../services/bus/rights.ts';
import { roles } from '../../services/bus/topology.ts';
import { startDemo } from '../../services/demo/demo.ts';
import type { LocalBroker } from '../../services/up/local-broker.ts';
import { type Account, accountsOf } from '../compliance/accounts.ts';
import { startBackend } from '../support/backend.ts';
import { ownBroker } from '../support/broker.ts';
import { proxyConfig, proxyUnderTest, workerUnderTest } from '../support/system.ts';
import { until } from '../support/until.ts';

const password = 'of-no-use-elsewhere';
let own: LocalBroker;
let missing = '';

function account(name: string, { topics, ...patterns }: ReturnType<typeof rights.proxy>): Account {
  return { name, password, rights: patterns, topics };
}

beforeAll(async () => {
  own = await ownBroker();
  const made = await accountsOf(own);
  if (typeof made === 'string') {
    missing = made;
    console.log(`rights are not tested here: ${made}`);
    return;
  }
  await made.create([
    account('proxy', rights.proxy()),
    account('worker-web', rights.worker('web')),
    account('demo', rights.demo()),
  ]);
  // What others have.
  const connection = await connect(own.url);
  const channel = await connection.createChannel();
  for (const { name, type } of roles.proxy([], 'classic').exchanges) await channel.assertExchange(name, type);
  for (const queue of ['proxy.jobs.web', 'proxy.jobs.shop']) await channel.assertQueue(queue, { durable: true });
  await channel.assertExchange('chat.x', 'topic', { durable: true });
  await connection.close();
}, 120_000);

afterAll(() => own?.close(), 30_000);

function urlOf(user: string): string {
  const url = new URL(own.url);
  url.username = user;
  url.password = password;
  return url.href;
}

test('each with its own account, proxy and worker do their job: repeatable, claimed and cancelled', async context => {
  if (missing !== '') return context.skip(missing);
  await using backend = await startBackend('one', (request, response, body) => {
    // Never answered: the client goes away.
    if (request.url !== '/slow') response.end(`${request.method} ${body.toString()}`);
  });
  await using edge = await proxyUnderTest(urlOf('proxy'), proxyConfig('web'));
  await using _worker = await workerUnderTest(urlOf('worker-web'), 'web', [backend.url]);
  await edge.workers(1);
  expect(await (await fetch(edge.url)).text()).toBe('GET ');
  expect(await (await fetch(edge.url, { method: 'POST', body: 'x' })).text()).toBe('POST x');
  const leave = new AbortController();
  const left = fetch(`${edge.url}/slow`, { signal: leave.signal });
  await until(
    () => backend.seen.length,
    count => count === 3,
  );
  leave.abort();
  await expect(left).rejects.toThrow();
  await until(
    () => edge.proxy.pending(),
    pending => pending === 0,
  );
  // A right that is lacking would have closed a channel, and with it the session.
  expect(edge.bus.state).toBe('up');
  expect(await (await fetch(edge.url)).text()).toBe('GET ');
  const status = (await (await fetch(`${edge.admin}/api/status`)).json()) as { services: unknown };
  expect(status.services).toMatchObject([{ service: 'web', queue: { consumers: 1 } }]);
});

test('a sample backend writes and reads its stream', async context => {
  if (missing !== '') return context.skip(missing);
  const bus = createBus({ urls: [urlOf('demo')], name: 'demo', role: roles.demo() });
  const demo = await startDemo({ bus, now: Date.now }, { name: 'backend-1', host: '127.0.0.1', port: 0 });
  try {
    await bus.ready();
    const body = JSON.stringify({ author: 'a', text: 'hello' });
    const headers = { 'Content-Type': 'application/json' };
    expect((await fetch(`${demo.url}/api/messages`, { method: 'POST', body, headers })).status).toBe(201);
    await until(
      async () => (await (await fetch(`${demo.url}/api/messages`)).json()) as { text: string }[],
      list => list[0]?.text === 'hello',
    );
  } finally {
    await demo.close();
    await bus.close();
  }
});

type Channel = Awaited<ReturnType<Awaited<ReturnType<typeof connect>>['createConfirmChannel']>>;

describe('refused is', () => {
  test.for<[string, string, (channel: Channel) => PromiseLike<unknown> | undefined]>([
    ['the proxy', 'proxy', c => c.consume('proxy.jobs.shop', () => {})],
    ['the proxy', 'proxy', c => publish(c, 'm', 'directory.rpc')],
    ['the proxy', 'proxy', c => publish(c, '', 'proxy.jobs.shop')],
    ['the proxy', 'proxy', c => c.assertQueue('anything')],
    ['a worker', 'worker-web', c => c.consume('proxy.jobs.shop', () => {})],
    ['a worker', 'worker-web', c => publish(c, 'proxy.jobs', 'web')],
    ['a worker', 'worker-web', c => publish(c, 'm', 'm.x.job')],
    ['a worker', 'worker-web', c => publish(c, 'proxy.events', 'worker.shop')],
    ['a worker', 'worker-web', c => publish(c, 'proxy.events', 'cancel.web')],
    ['a worker', 'worker-web', c => publish(c, '', 'proxy.jobs.web')],
    ['a worker', 'worker-web', c => c.deleteQueue('proxy.jobs.shop')],
    ['a worker', 'worker-web', c => c.deleteQueue('proxy.jobs.web')],
    ['a worker', 'worker-web', c => c.deleteExchange('proxy.jobs')],
    ['a worker', 'worker-web', c => c.deleteExchange('m')],
    ['a worker', 'worker-web', c => bindOwn(c, 'proxy.jobs', 'shop')],
    ['a worker', 'worker-web', c => bindOwn(c, 'proxy.jobs', 'web')],
    ['a worker', 'worker-web', c => bindOwn(c, 'm', 'm.#')],
    ['a worker', 'worker-web', c => bindOwn(c, 'm', 'm.*.job.*')],
    ['a worker', 'worker-web', c => bindOwn(c, 'm', 'm.worker-web.job.*')],
    ['a worker', 'worker-web', c => bindOwn(c, 'm', 'm.worker-shop.job.x')],
    ['a worker', 'worker-web', c => bindOwn(c, 'chat.x', '#')],
    ['a sample backend', 'demo', c => c.assertQueue('', { exclusive: true })],
    ['a sample backend', 'demo', c => publish(c, 'proxy.jobs', 'web')],
  ])('%s (%s): %s', async ([_who, user, act], context) => {
    if (missing !== '') return context.skip(missing);
    const connection = await connect(urlOf(user));
    try {
      const channel = await connection.createConfirmChannel();
      const closed = new Promise<{ code?: number }>(resolve => channel.on('error', resolve));
      void Promise.resolve(act(channel)).catch(() => {});
      expect((await closed).code).toBe(403);
    } finally {
      await connection.close();
    }
  });
});

async function bindOwn(channel: Channel, exchange: string, key: string): Promise<void> {
  const { queue } = await channel.assertQueue('', { exclusive: true });
  await channel.bindQueue(queue, exchange, key);
}

function publish(channel: Channel, exchange: string, key: string): undefined {
  channel.publish(exchange, key, Buffer.alloc(0));
  return undefined;
}
