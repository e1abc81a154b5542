import { connect } from 'amqplib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { chatIn, chatLog, directoryEnrol } from '../../services/bus/queues.ts';
import { type Binding, roles } from '../../services/bus/topology.ts';
import { randomHex } from '../../services/lib/random.ts';
import { startBackend } from '../support/backend.ts';
import { proxyConfig, proxyUnderTest, workerUnderTest } from '../support/system.ts';
import { until } from '../support/until.ts';
import {
  type Act,
  busOf,
  hear,
  type Network,
  type Person,
  peek,
  publish,
  rawConnection,
  startNetwork,
  take,
  tried,
} from './network.ts';

/**
 * What somebody tries who has a member's account, or an invite, and a client of their own: refused by the broker, while what it is
 * for works beside it. What the broker cannot refuse: `detours.broker.test.ts`, `answers.broker.test.ts`.
 */

let network: Network;
/** Has a grant for `web` and none for `shop`, may serve the chat `other.net` and not `room.net`. */
let mallory: Person;
let alice: Person;
let invited: Person;

beforeAll(async () => {
  network = await startNetwork(['web', 'shop'], ['room.net', 'other.net']);
  mallory = await network.addMember(['web'], ['other.net']);
  [alice, invited] = [await network.addMember([], ['room.net']), await network.addInvite()];
  for (const who of [mallory, alice])
    expect(
      await tried(who, async c => {
        const { queue } = await c.assertQueue(`m.${who.id}.dm`, { durable: true });
        await c.bindQueue(queue, 'm', `m.${who.id}.dm`);
      }),
    ).toBe('allowed');
}, 120_000);

afterAll(() => network?.close(), 30_000);

type Row = readonly [what: string, act: () => Act];

function refused(code: number, rows: readonly Row[]): void {
  test.each(rows)(`refused: %s`, async (_, act) => {
    expect(await tried(mallory, act())).toBe(code);
  });
}

function allowed(rows: readonly Row[]): void {
  test.each(rows)(`allowed: %s`, async (_, act) => {
    expect(await tried(mallory, act())).toBe('allowed');
  });
}

const someone = randomHex(64);

describe("another's queue", () => {
  refused(403, [
    ['to consume it', () => take(`m.${alice.id}.dm`)],
    ['to get from it', () => peek(`m.${alice.id}.dm`)],
    ['to purge it', () => c => c.purgeQueue(`m.${alice.id}.dm`)],
    ['to delete it', () => c => c.deleteQueue(`m.${alice.id}.dm`)],
    ['to declare it', () => c => c.assertQueue(`m.${someone}.dm`, { durable: true })],
    ['to bind it', () => c => c.bindQueue(`m.${alice.id}.dm`, 'p2p.transfers', '#')],
    ['to unbind it', () => c => c.unbindQueue(`m.${alice.id}.dm`, 'm', `m.${alice.id}.dm`)],
  ]);
  allowed([
    ['to consume its own', () => take(`m.${mallory.id}.dm`)],
    ['to send to her', () => publish('m', `m.${alice.id}.dm`)],
  ]);
  test('refused: to have of an exclusive one, whose name is known', async () => {
    const connection = await rawConnection(alice.url);
    const { queue } = await (await connection.createChannel()).assertQueue('', { exclusive: true });
    for (const act of [take(queue), peek(queue), hearBy(queue), (c => c.deleteQueue(queue)) satisfies Act])
      expect(await tried(mallory, act)).toBe(405);
  });
});

function hearBy(queue: string): Act {
  return c => c.bindQueue(queue, 'm', `m.${mallory.id}.x`);
}

describe('as somebody else', () => {
  refused(406, [
    ['to call as another member', () => publish('m', 'directory.rpc', { userId: alice.account })],
    ['to call as the directory', () => publish('m', `m.${alice.id}.rpc`, { userId: 'directory' })],
  ]);
  allowed([['to call as oneself', () => publish('m', 'directory.rpc', { userId: mallory.account })]]);
});

describe('jobs', () => {
  refused(403, [
    ["to consume another service's", () => take('proxy.jobs.shop')],
    ['to get them', () => peek('proxy.jobs.shop')],
    ['to purge them', () => c => c.purgeQueue('proxy.jobs.shop')],
    ['to hear them too', () => hear('proxy.jobs', 'shop')],
    ["to hear its own service's by a queue of its own", () => hear('proxy.jobs', 'web')],
    ['to make some', () => publish('proxy.jobs', 'shop')],
    ['to announce a worker of another service', () => publish('proxy.events', 'worker.shop')],
    ['to cancel some', () => publish('proxy.events', 'cancel.web')],
    ['to announce a proxy', () => publish('proxy.events', 'proxy')],
    ['to hear who works', () => hear('proxy.events', 'worker.web')],
    ['to hear all that happens', () => hear('proxy.events', '#')],
    ["to hear a worker's grants and bodies", () => hear('m', 'm.*.job.*')],
    ['to grant a job', () => publish('m', `m.${alice.id}.job.w`)],
    ['to serve replies', () => hear('proxy.replies', 'x')],
  ]);
  allowed([
    ['to consume those of its own service', () => take('proxy.jobs.web')],
    ['to announce a worker of it', () => publish('proxy.events', 'worker.web')],
    ['to hear the proxies', () => hear('proxy.events', 'proxy')],
    ['to reply', () => publish('proxy.replies', 'x')],
  ]);
  test('refused: any, without a grant', async () => {
    for (const act of [take('proxy.jobs.web'), publish('proxy.events', 'worker.web'), publish('proxy.replies', 'x')])
      expect(await tried(alice, act)).toBe(403);
    expect(await tried(alice, hear('proxy.events', 'cancel.web'))).toBe(403);
    expect(await tried(alice, hear('proxy.events', 'proxy'))).toBe('allowed');
  });
  test('allowed: a member that works for the service it was granted', async () => {
    await using backend = await startBackend('one', (request, response, body) => {
      response.end(`${request.method} ${body.toString()}`);
    });
    await using edge = await proxyUnderTest(network.proxy.url, proxyConfig('web'));
    await using worker = await workerUnderTest(mallory.url, 'web', [backend.url]);
    await edge.workers(1);
    expect(await (await fetch(edge.url)).text()).toBe('GET ');
    expect(await (await fetch(edge.url, { method: 'POST', body: 'x' })).text()).toBe('POST x');
    expect(worker.bus.state).toBe('up');
  });
});

describe('what is shared', () => {
  const exchanges = ['m', 'p2p.index', 'p2p.transfers', 'chord.events', 'naming.events', 'proxy.events', 'proxy.jobs'];
  refused(403, [
    ...exchanges.map((name): Row => [`to delete ${name}`, () => c => c.deleteExchange(name)]),
    ['to declare an exchange', () => c => c.assertExchange('proxy.new', 'topic')],
    ['to declare one that is there', () => c => c.assertExchange('m', 'topic', { durable: true })],
    ['to declare a queue', () => c => c.assertQueue('proxy.jobs.new')],
    ['to declare one that is there', () => c => c.assertQueue('directory.rpc', { durable: true })],
    ['to declare one of its own service', () => c => c.assertQueue('proxy.jobs.web', { durable: true })],
    ['to delete a queue', () => c => c.deleteQueue('directory.rpc')],
    ['to delete that of its own service', () => c => c.deleteQueue('proxy.jobs.web')],
    ['to purge a queue', () => c => c.purgeQueue('directory.rpc')],
    ['to consume calls to the directory', () => take('directory.rpc')],
    ['to consume enrolments', () => take('directory.enrol')],
    ['to bind a queue', () => c => c.bindQueue('directory.rpc', 'p2p.transfers', '#')],
    ['to unbind a queue', () => c => c.unbindQueue('directory.rpc', 'm', 'directory.rpc')],
    ['to unbind that of its own service', () => c => c.unbindQueue('proxy.jobs.web', 'proxy.jobs', 'web')],
  ]);
  allowed([
    [
      'to look whether it is there',
      () => async c => void [await c.checkExchange('m'), await c.checkQueue('directory.rpc')],
    ],
    ['to declare a queue of its own', () => c => c.assertQueue('', { exclusive: true })],
    ['to call the directory', () => publish('m', 'directory.rpc')],
  ]);
});

describe('a chat', () => {
  refused(403, [
    ['to read its input without being its host', () => take('chat.room.net.in')],
    ['to get from it', () => peek('chat.room.net.in')],
    ['to purge it', () => c => c.purgeQueue('chat.room.net.in')],
    ['to delete it', () => c => c.deleteQueue('chat.room.net.in')],
    ['to declare it', () => c => c.assertQueue('chat.new.net.in', { durable: true })],
    ['to append to its log', () => publish('chat', 'log.room.net')],
    ['... past the exchange', () => publish('', 'chat.room.net.log')],
    ['to delete its log', () => c => c.deleteQueue('chat.room.net.log')],
    ['to delete the log of one that it may serve', () => c => c.deleteQueue('chat.other.net.log')],
    ['to bind the input of one that it may serve', () => c => c.bindQueue('chat.other.net.in', 'chat', 'in.room.net')],
    ['to unbind it', () => c => c.unbindQueue('chat.other.net.in', 'chat', 'in.other.net')],
    ['to hear what is said to it', () => hear('chat', 'in.room.net')],
    ['to hear what is appended', () => hear('chat', 'log.room.net')],
    ['to hear all chats', () => hear('chat', '#')],
    ['to say that it serves', () => publish('chat', 'beat.room.net')],
    ['to be there as another', () => publish('chat', `live.${alice.id}.room.net`)],
    ['to speak to many at once', () => publish('chat', 'in.*')],
    ['to hear what servers tell each other', () => hear('m', `m.${alice.id}.chat`)],
  ]);
  refused(406, [
    ['to speak as another', () => publish('chat', 'in.room.net', { userId: alice.account })],
    ['to append as another', () => publish('chat', 'log.other.net', { userId: alice.account })],
  ]);
  allowed([
    ['to speak', () => publish('chat', 'in.room.net', { userId: mallory.account })],
    ['to be there', () => publish('chat', `live.${mallory.id}.room.net`)],
    ['to hear who serves', () => hear('chat', 'beat.room.net')],
    ['to hear who is there', () => hear('chat', 'live.*.room.net')],
    ['to read its log', () => prefetching('chat.room.net.log')],
    ['to serve the one that it may', () => take('chat.other.net.in')],
    ['to append to its log', () => publish('chat', 'log.other.net', { userId: mallory.account })],
  ]);
  test('refused: to tell a server anything, for who may serve no chat', async () => {
    const guest = await network.addMember();
    expect(await tried(guest, publish('m', `m.${alice.id}.chat`))).toBe(403);
    expect(await tried(guest, publish('chat', 'in.room.net'))).toBe('allowed');
    expect(await tried(mallory, publish('m', `m.${alice.id}.chat`))).toBe('allowed');
  });
  test('one that speaks, one that serves: both read in the log who said it and who wrote it', async () => {
    const [server, client] = [busOf(alice, roles.member()), busOf(mallory, roles.member())];
    const bindings = (): Binding[] => chatLog('room.net').bindings.slice();
    const read: string[][] = [[], []];
    for (const [at, bus] of [server, client].entries())
      await bus.consume(
        chatLog('room.net').queue,
        ({ userId, body }) => {
          read[at]?.push(`${userId}: ${body}`);
          return 'ack';
        },
        { prefetch: 10, offset: 'first', bindings },
      );
    await server.consume(
      chatIn('room.net', 'classic').queue,
      async ({ userId, body }) => {
        const entry = Buffer.from(`${userId} says ${body}`);
        await server.publish({ type: 'warren.chat.v1.Entry', key: 'log.room.net', body: entry });
        return 'ack' as const;
      },
      { prefetch: 1, bindings: () => chatIn('room.net', 'classic').bindings.slice() },
    );
    await client.publish({ type: 'warren.chat.v1.Input', key: 'in.room.net', body: Buffer.from('hello') });
    const written = `${alice.account}: ${mallory.account} says hello`;
    for (const lines of read)
      await until(
        () => lines,
        seen => seen.includes(written),
      );
  });
});

/** A stream is consumed with a prefetch only. */
function prefetching(queue: string): Act {
  return async c => {
    await c.prefetch(1);
    await c.consume(queue, () => {});
  };
}

describe('routing keys', () => {
  refused(403, [
    ["to hear another's calls", () => hear('m', `m.${alice.id}.rpc`)],
    ['... and all of hers', () => hear('m', `m.${alice.id}.#`)],
    ["... and everybody's", () => hear('m', 'm.*.rpc')],
    ['... by a wildcard behind its own', () => hear('m', `m.${mallory.id}.#`)],
    ['... by nothing but wildcards', () => hear('m', '#')],
    ['... one for each word', () => hear('m', '*.*.*')],
    ["to hear the directory's calls", () => hear('m', 'directory.rpc')],
    ["to hear naming's calls", () => hear('m', 'naming.rpc')],
    ['to hear answers to others', () => hear('m', 'm.directory.reply.x')],
    ['to hear the index', () => hear('p2p.index', '#')],
    ['to announce files of another', () => publish('p2p.index', alice.id)],
    ['to tell of transfers of another', () => publish('p2p.transfers', alice.id)],
    ['to tell of ring nodes of another', () => publish('chord.events', alice.id)],
    ['to move a name', () => publish('naming.events', 'chat.room')],
    ['to enrol somebody', () => publish('m', 'directory.enrol')],
    ['to send to what is no address', () => publish('m', `m.${alice.id}.anything`)],
    ['to send to many at once', () => publish('m', 'm.#')],
    ['to unbind a key that is not its own', () => unhear('m', `m.${alice.id}.rpc`)],
  ]);
  allowed([
    ['to hear its own calls', () => hear('m', `m.${mallory.id}.rpc`)],
    ['... and its answers', () => hear('m', `m.${mallory.id}.reply.amq.gen-x_y-z`)],
    ['to call another', () => publish('m', `m.${alice.id}.rpc`)],
    ['to answer the directory', () => publish('m', 'm.directory.reply.amq.gen-x')],
    ['to relay', () => publish('m', `m.${alice.id}.relay.1`)],
    ['to announce its files', () => publish('p2p.index', mallory.id)],
    ['to tell of its transfers', () => publish('p2p.transfers', mallory.id)],
    ['to tell of its ring node', () => publish('chord.events', mallory.id)],
    ['to hear of transfers', () => hear('p2p.transfers', '#')],
    ['to hear of the ring', () => hear('chord.events', '#')],
    ['to hear of names', () => hear('naming.events', '#')],
  ]);
});

function unhear(exchange: string, key: string): Act {
  return async c => {
    const { queue } = await c.assertQueue('', { exclusive: true });
    await c.unbindQueue(queue, exchange, key);
  };
}

describe('the default exchange, and others that the broker has', () => {
  refused(403, [
    ['to send to a queue by its name', () => publish('', 'directory.rpc')],
    ["to send to another's", () => publish('', `m.${alice.id}.dm`)],
    ['to send to its own', () => publish('', `m.${mallory.id}.dm`)],
    ['to use amq.topic', () => publish('amq.topic', 'x')],
    ['to hear amq.fanout', () => hear('amq.fanout', '')],
    ['to hear the log of the broker', () => hear('amq.rabbitmq.trace', '#')],
    ['to have its dead letters sent there', () => lettersTo('')],
    ['to have its dead letters sent to jobs', () => lettersTo('proxy.jobs')],
  ]);
});

function lettersTo(exchange: string): Act {
  return c => c.assertQueue('', { exclusive: true, arguments: { 'x-dead-letter-exchange': exchange } });
}

describe('an invite', () => {
  test.each<Row>([
    ['to call the directory otherwise', () => publish('m', 'directory.rpc')],
    ['to call a member', () => publish('m', `m.${alice.id}.rpc`)],
    ['to answer', () => publish('m', 'm.directory.reply.x')],
    ['to announce files', () => publish('p2p.index', alice.id)],
    ['to hear transfers', () => hear('p2p.transfers', '#')],
    ['to hear events of the ring', () => hear('chord.events', '#')],
    ['to hear the proxies', () => hear('proxy.events', 'proxy')],
    ['to hear calls to itself', () => hear('m', `m.${invited.account}.rpc`)],
    ["to hear other invites' answers", () => hear('m', 'm.invite.other.reply.x')],
    ['to hear all answers', () => hear('m', 'm.#')],
    ['to hear enrolments', () => hear('m', 'directory.enrol')],
    ['to consume enrolments', () => take('directory.enrol')],
    ['to read a queue', () => take(`m.${alice.id}.dm`)],
    ['to take jobs', () => take('proxy.jobs.web')],
    ['to declare a queue that outlives it', () => c => c.assertQueue(`m.${invited.account}.x`, { durable: true })],
    ['to declare an exchange', () => c => c.assertExchange('x', 'topic')],
    ['to send by the default exchange', () => publish('', 'directory.rpc')],
    ['to delete what is shared', () => c => c.deleteQueue('directory.enrol')],
  ])('refused: %s', async (_, act) => {
    expect(await tried(invited, act())).toBe(403);
  });
  test('refused: as somebody else', async () => {
    expect(await tried(invited, publish('m', 'directory.enrol', { userId: alice.account }))).toBe(406);
  });
  test.each<Row>([
    ['to enrol', () => publish('m', 'directory.enrol', { userId: invited.account })],
    ['to hear the answer', () => hear('m', `m.${invited.account}.reply.amq.gen-x`)],
  ])('allowed: %s', async (_, act) => {
    expect(await tried(invited, act())).toBe('allowed');
  });
  test('a flood of enrolments stays within its bound, and the directory hears of the last', async () => {
    const { queue } = directoryEnrol('classic');
    const connection = await rawConnection(invited.url);
    const channel = await connection.createConfirmChannel();
    for (let i = 0; i < 3_000; i++)
      channel.publish('m', 'directory.enrol', Buffer.from(String(i)), { userId: invited.account });
    await channel.waitForConfirms();
    const directory = busOf(network.directory, roles.directory('classic'));
    await directory.ready();
    expect((await directory.depth(queue.name)).messages).toBe(1_000);
    const seen: string[] = [];
    await directory.consume(
      queue,
      ({ body }) => {
        seen.push(body.toString());
        return 'ack';
      },
      { prefetch: 100 },
    );
    await until(
      () => seen.at(-1),
      last => last === '2999',
    );
    expect(seen).toHaveLength(1_000);
  });
});

test('who is removed is out at once, in the midst of it, and stays out', async () => {
  const gone = await network.addMember(['web']);
  const connection = await rawConnection(gone.url);
  const channel = await connection.createChannel();
  const { queue } = await channel.assertQueue('', { exclusive: true });
  await channel.bindQueue(queue, 'm', `m.${gone.id}.rpc`);
  await channel.consume('proxy.jobs.web', () => {});
  const closed = new Promise(resolve => connection.once('close', resolve));
  const startedAt = performance.now();
  await network.accounts.remove(gone.account);
  await closed;
  expect(performance.now() - startedAt).toBeLessThan(2_000);
  await expect(connect(gone.url, { timeout: 5_000 })).rejects.toThrow(/403|ACCESS_REFUSED/);
  expect(await tried(mallory, take('proxy.jobs.web'))).toBe('allowed');
});
