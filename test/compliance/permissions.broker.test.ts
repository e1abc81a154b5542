import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { LocalBroker } from '../../services/up/local-broker.ts';
import { ownBroker } from '../support/broker.ts';
import { type Account, accountsOf } from './accounts.ts';
import { saysWhichRight } from './differences.ts';
import { type BrokerName, whichBroker } from './which-broker.ts';
import type { Fields } from './wire/codec.ts';
import { authenticate, login } from './wire/handshake.ts';
import type { MethodName } from './wire/methods.ts';
import { type Peer, type Refusal, refusalOf } from './wire/peer.ts';

type Right = 'configure' | 'write' | 'read';

const password = 'of-no-use-elsewhere';
const everything = { configure: '.*', write: '.*', read: '.*' };

const accounts: readonly Account[] = [
  { name: 'admin', password, rights: everything },
  { name: 'stranger', password },
  { name: 'no-configure', password, rights: { ...everything, configure: '^$' } },
  // No pattern at all is a pattern that nothing fits.
  { name: 'no-write', password, rights: { ...everything, write: '' } },
  { name: 'no-read', password, rights: { ...everything, read: '^$' } },
  { name: 'partial', password, rights: { configure: 'mine', write: '^amq\\.default$', read: '^(mine|ours)-' } },
  {
    name: 'topical',
    password,
    rights: everything,
    topics: [{ exchange: 'topics', write: '^m\\.{username}\\.', read: '^(open|m\\.topical)\\.' }],
  },
];

let own: LocalBroker | undefined;
let url = '';
let broker: BrokerName;
let missing = '';

beforeAll(async () => {
  own = await ownBroker();
  url = own.url;
  broker = await whichBroker(url);
  const made = await accountsOf(own);
  if (typeof made === 'string') {
    missing = made;
    console.log(`permissions are not tested here: ${made}`);
    return;
  }
  await made.create(accounts);
  using admin = await as('admin');
  const deadLetters = { 'x-dead-letter-exchange': 'x' };
  await admin.call(1, 'queue.declare', { queue: 'dying', durable: true, arguments: deadLetters });
  for (const queue of ['q', 'ours-1']) await admin.call(1, 'queue.declare', { queue, durable: true });
  for (const exchange of ['x', 'topics'])
    await admin.call(1, 'exchange.declare', { exchange, type: 'topic', durable: true });
}, 120_000);

afterAll(() => own?.close(), 30_000);

async function as(user: string): Promise<Peer> {
  const peer = await login(url, {}, { user, password });
  await peer.openChannel(1);
  return peer;
}

/** Sends it and closes the channel behind it. @returns how it was refused, or `allowed` */
async function outcome(user: string, act: (peer: Peer) => void): Promise<Refusal | 'allowed'> {
  using peer = await as(user);
  act(peer);
  peer.send(1, 'channel.close', { code: 200 });
  const isClose = (name: string): boolean => name === 'channel.close' || name === 'channel.close-ok';
  const frame = await peer.take(each => each.kind === 'method' && isClose(each.name));
  // With the connection its exclusive queues go, before the next test wants the name.
  await peer.call(0, 'connection.close', { code: 200 });
  return frame.kind === 'method' && frame.name === 'channel.close' ? refusalOf(frame) : 'allowed';
}

function refused(user: string, right: Right, what: string, method: MethodName): Refusal {
  const access = saysWhichRight[broker] ? `${right} access` : 'access';
  const text = `ACCESS_REFUSED - ${access} to ${what} in vhost '/' refused for user '${user}'`;
  return { scope: 'channel', code: 403, text, method };
}

interface Operation {
  readonly name: string;
  readonly method: MethodName;
  readonly fields: Fields;
  readonly needs: Partial<Record<Right, string>>;
}

const operations: readonly Operation[] = [
  {
    name: 'declaring a queue',
    method: 'queue.declare',
    fields: { queue: 'new', exclusive: true },
    needs: { configure: "queue 'new'" },
  },
  {
    name: 'declaring a queue that is there',
    method: 'queue.declare',
    fields: { queue: 'q', durable: true },
    needs: { configure: "queue 'q'" },
  },
  {
    name: 'declaring a queue with dead letters',
    method: 'queue.declare',
    fields: { queue: 'new', exclusive: true, arguments: { 'x-dead-letter-exchange': 'x' } },
    needs: { configure: "queue 'new'", write: "exchange 'x'", read: "queue 'new'" },
  },
  {
    name: 'declaring a queue with dead letters that is there',
    method: 'queue.declare',
    fields: { queue: 'dying', durable: true, arguments: { 'x-dead-letter-exchange': 'x' } },
    needs: { configure: "queue 'dying'" },
  },
  { name: 'asking for a queue', method: 'queue.declare', fields: { queue: 'q', passive: true }, needs: {} },
  {
    name: 'deleting a queue',
    method: 'queue.delete',
    fields: { queue: 'gone' },
    needs: { configure: "queue 'gone'" },
  },
  { name: 'purging', method: 'queue.purge', fields: { queue: 'q' }, needs: { read: "queue 'q'" } },
  { name: 'consuming', method: 'basic.consume', fields: { queue: 'q' }, needs: { read: "queue 'q'" } },
  { name: 'getting', method: 'basic.get', fields: { queue: 'q' }, needs: { read: "queue 'q'" } },
  {
    name: 'binding',
    method: 'queue.bind',
    fields: { queue: 'q', exchange: 'x', routingKey: 'bound' },
    needs: { write: "queue 'q'", read: "exchange 'x'" },
  },
  {
    name: 'unbinding',
    method: 'queue.unbind',
    fields: { queue: 'q', exchange: 'x', routingKey: 'bound' },
    needs: { write: "queue 'q'", read: "exchange 'x'" },
  },
  {
    name: 'declaring an exchange',
    method: 'exchange.declare',
    fields: { exchange: 'new', type: 'direct' },
    needs: { configure: "exchange 'new'" },
  },
  {
    name: 'asking for an exchange',
    method: 'exchange.declare',
    fields: { exchange: 'x', passive: true },
    needs: {},
  },
  {
    name: 'deleting an exchange',
    method: 'exchange.delete',
    fields: { exchange: 'gone' },
    needs: { configure: "exchange 'gone'" },
  },
  { name: 'publishing', method: 'basic.publish', fields: { exchange: 'x' }, needs: { write: "exchange 'x'" } },
  {
    name: 'publishing to the default exchange',
    method: 'basic.publish',
    fields: { routingKey: 'q' },
    needs: { write: "exchange 'amq.default'" },
  },
  {
    name: 'consuming direct replies',
    method: 'basic.consume',
    fields: { queue: 'amq.rabbitmq.reply-to', noAck: true },
    needs: {},
  },
];

function doing({ method, fields }: Operation): (peer: Peer) => void {
  if (method === 'basic.publish') return peer => peer.publish(1, fields);
  return peer => peer.send(1, method, fields);
}

describe.for(['configure', 'write', 'read'] as const)('without the right to %s', right => {
  const user = `no-${right}`;
  for (const operation of operations) {
    const what = operation.needs[right];
    test(`${operation.name} is ${what === undefined ? 'allowed' : 'refused with 403'}`, async ({ skip }) => {
      skip(missing !== '', missing);
      const expected = what === undefined ? 'allowed' : refused(user, right, what, operation.method);
      expect(await outcome(user, doing(operation))).toEqual(expected);
    });
  }

  test('names are looked at before it is known whether they are there', async ({ skip }) => {
    skip(missing !== '', missing);
    const absent: Record<Right, [MethodName, Fields, string]> = {
      configure: ['queue.delete', { queue: 'absent' }, "queue 'absent'"],
      write: ['queue.bind', { queue: 'absent', exchange: 'x' }, "queue 'absent'"],
      read: ['basic.get', { queue: 'absent' }, "queue 'absent'"],
    };
    const [method, fields, what] = absent[right];
    expect(await outcome(user, peer => peer.send(1, method, fields))).toEqual(refused(user, right, what, method));
  });
});

describe('patterns', () => {
  test.for<[string, (peer: Peer) => void, boolean]>([
    ['fit anywhere in a name unless anchored', peer => declare(peer, 'not-mine-at-all'), true],
    ['fit at the start when anchored there', peer => peer.send(1, 'basic.get', { queue: 'ours-1' }), true],
    ['do not fit elsewhere then', peer => peer.send(1, 'basic.get', { queue: 'not-ours-1' }), false],
    ['tell large from small', peer => declare(peer, 'MINE'), false],
    ['know the default exchange as amq.default', peer => peer.publish(1, { routingKey: 'q' }), true],
    ['are asked for names that the server gives too', peer => declare(peer, ''), false],
  ])('%s', async ([, act, isAllowed], { skip }) => {
    skip(missing !== '', missing);
    const found = await outcome('partial', act);
    if (isAllowed) expect(found).toBe('allowed');
    else expect(found).toMatchObject({ scope: 'channel', code: 403 });
  });
});

describe('routing keys of a topic exchange', () => {
  test.for<[string, (peer: Peer) => void, ReturnType<typeof topicRefusal> | 'allowed']>([
    ['may be written that fit, the name of the account filled in', peer => publish(peer, 'm.topical.x'), 'allowed'],
    [
      'may not be written that do not',
      peer => publish(peer, 'm.other.x'),
      topicRefusal('write', 'm.other.x', 'basic.publish'),
    ],
    ['may be bound that fit', peer => bind(peer, 'queue.bind', 'open.#'), 'allowed'],
    ['may not be bound that do not', peer => bind(peer, 'queue.bind', '#'), topicRefusal('read', '#', 'queue.bind')],
    [
      'may not be unbound that do not',
      peer => bind(peer, 'queue.unbind', 'm.other.#'),
      topicRefusal('read', 'm.other.#', 'queue.unbind'),
    ],
    [
      'are free at an exchange that nothing is said about',
      peer => peer.publish(1, { exchange: 'x', routingKey: 'm.other' }),
      'allowed',
    ],
  ])('%s', async ([, act, expected], { skip }) => {
    skip(missing !== '', missing);
    expect(await outcome('topical', act)).toEqual(expected === 'allowed' ? expected : expected());
  });
});

test('an account without rights does not get in: 530', async ({ skip }) => {
  skip(missing !== '', missing);
  const { peer, tune } = await authenticate(url, { user: 'stranger', password });
  peer.send(0, 'connection.tune-ok', tune);
  peer.send(0, 'connection.open', { vhost: '/' });
  expect(await peer.refusal()).toEqual({
    scope: 'connection',
    code: 530,
    text: "NOT_ALLOWED - access to vhost '/' refused for user 'stranger'",
    method: 'connection.open',
  });
  await peer.closed();
});

test('a refusal is of the channel only', async ({ skip }) => {
  skip(missing !== '', missing);
  using peer = await as('no-write');
  await peer.openChannel(2);
  expect(await peer.refused(1, 'queue.bind', { queue: 'q', exchange: 'x' })).toMatchObject({ code: 403 });
  await peer.call(2, 'queue.declare', { queue: 'q', passive: true });
});

function declare(peer: Peer, queue: string): void {
  peer.send(1, 'queue.declare', { queue, exclusive: true });
}

function publish(peer: Peer, routingKey: string): void {
  peer.publish(1, { exchange: 'topics', routingKey });
}

function bind(peer: Peer, method: 'queue.bind' | 'queue.unbind', routingKey: string): void {
  peer.send(1, method, { queue: 'q', exchange: 'topics', routingKey });
}

/** Said late, when it is known which broker this is. */
function topicRefusal(right: Right, key: string, method: MethodName): () => Refusal {
  return () => refused('topical', right, `topic '${key}' in exchange 'topics'`, method);
}
