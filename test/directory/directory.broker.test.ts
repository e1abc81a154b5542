import { connect } from 'amqplib';
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { Call } from '../../proto/gen/warren/bus/v1/rpc.ts';
import { createBus } from '../../services/bus/amqp-bus.ts';
import type { Bus } from '../../services/bus/bus.ts';
import { replyKey } from '../../services/bus/own-keys.ts';
import { type QueueKind, roles } from '../../services/bus/topology.ts';
import { directoryClient } from '../../services/directory/client.ts';
import { methods } from '../../services/directory/methods.ts';
import { restDirectoryClient } from '../../services/directory/rest-client.ts';
import { type Directory, startDirectory } from '../../services/directory/service.ts';
import type { LocalBroker } from '../../services/up/local-broker.ts';
import { ownBroker, temporaryDir, uniqueName } from '../support/broker.ts';
import { until } from '../support/until.ts';
import type { Methods } from './directory-under-test.ts';
import { fileOf, idOf } from './index-under-test.ts';

/** Every call the directory knows, over REST and over the bus: the same answers, the same refusals. */

const password = 'correct horse';
const addresses = ['10.0.0.1:50051', 'host.example:1'];
let broker: LocalBroker;
let serverBus: Bus;
let clientBus: Bus;
let directory: Directory;
let dataDir = '';

/** Not only for one test. */
function bus(role = roles.caller()): Bus {
  return createBus({ urls: [broker.url], name: 'test', role });
}

async function start(on: Bus, dir: string, queueType: QueueKind = 'classic'): Promise<Directory> {
  return startDirectory(
    { bus: on, now: () => Date.now(), clock: () => performance.now(), warn: () => {} },
    { dataDir: dir, host: '127.0.0.1', port: 0, openRegistration: true, sessionMs: 60_000, leaseMs: 30_000, queueType },
  );
}

// The queue is the broker's only one: other tests that run a directory must not answer.
beforeAll(async () => {
  broker = await ownBroker();
  dataDir = await temporaryDir();
  serverBus = bus(roles.directory('classic'));
  clientBus = bus();
  directory = await start(serverBus, dataDir);
  await Promise.all([serverBus.ready(), clientBus.ready()]);
});
afterAll(async () => {
  await directory?.close();
  await Promise.all([serverBus?.close(200), clientBus?.close(200)]);
  await broker?.close();
});

const notFound = { status: 'NOT_FOUND', code: 'DIRECTORY_FILE' };
const invalid = (message: RegExp) => ({
  status: 'INVALID_ARGUMENT',
  code: 'DIRECTORY_REQUEST',
  message: expect.stringMatching(message),
});
const say = (to: Methods, token: string, wrong: object) =>
  to.index({ token, files: [{ ...fileOf('a'), ...wrong }], counter: 0, part: 0, parts: 0 });
const look = (to: Methods, token: string, wrong: object) =>
  to.search({ token, q: '', type: '', minSize: 0, maxSize: 0, after: '', ...wrong });

type Refused = [what: string, call: (to: Methods) => Promise<unknown>, failure: object];

describe.each([
  ['REST', () => restDirectoryClient(directory.url)],
  ['the bus', () => directoryClient(clientBus)],
])('over %s', (_, over) => {
  let me: Methods;
  let username = '';

  beforeEach(async () => {
    me = over();
    username = uniqueName('user');
    await me.createUser({ username, password });
  });

  const others = async (token: string) => {
    const { peers } = await me.listPeers({ token, after: '' });
    return peers.filter(peer => peer.username === username);
  };

  test('an account is made once', async () => {
    await expect(me.createUser({ username, password })).rejects.toMatchObject({
      status: 'ALREADY_EXISTS',
      code: 'DIRECTORY_USER_EXISTS',
      message: `there is an account ${username} already`,
    });
  });

  test('who logs in is an active peer with its addresses, until it logs out', async () => {
    const session = await me.login({ username, password, addresses });
    expect(methods.login.response.parse(session)).toMatchObject({ expiresInS: 60, leaseMs: 30_000 });
    expect(session.token).toMatch(/^[\w-]{43}$/);
    const second = await me.login({ username, password, addresses: [] });
    expect(await others(second.token)).toEqual(
      expect.arrayContaining([
        { peerId: session.peerId, username, addresses },
        { peerId: second.peerId, username, addresses: [] },
      ]),
    );
    await me.logout({ token: session.token });
    expect(await others(second.token)).toEqual([{ peerId: second.peerId, username, addresses: [] }]);
  });

  test('a ping keeps the addresses, or gives others', async () => {
    const { token, peerId } = await me.login({ username, password, addresses });
    expect(await me.ping({ token, addresses: [] })).toEqual({ leaseMs: 30_000 });
    expect(await others(token)).toEqual([{ peerId, username, addresses }]);
    await me.ping({ token, addresses: ['elsewhere:1'] });
    expect(await others(token)).toEqual([{ peerId, username, addresses: ['elsewhere:1'] }]);
  });

  test.each<Refused>([
    [
      'a wrong password',
      to => to.login({ username, password: 'wrong', addresses }),
      { status: 'UNAUTHENTICATED', code: 'DIRECTORY_LOGIN', message: 'wrong user name or password' },
    ],
    [
      'an unknown name',
      to => to.login({ username: 'nobody', password, addresses }),
      { status: 'UNAUTHENTICATED', code: 'DIRECTORY_LOGIN', message: 'wrong user name or password' },
    ],
    [
      'a name that cannot be',
      to => to.createUser({ username: 'No Name', password }),
      { status: 'INVALID_ARGUMENT', code: 'DIRECTORY_REQUEST', message: expect.stringMatching(/^username: must/) },
    ],
    [
      'too many addresses',
      to => to.login({ username, password, addresses: Array(9).fill('a') }),
      { status: 'INVALID_ARGUMENT', code: 'DIRECTORY_REQUEST', message: 'addresses: must be at most 8' },
    ],
    ...['', 'x'.repeat(43)].flatMap(token => {
      const failure = { status: 'UNAUTHENTICATED', code: 'DIRECTORY_TOKEN' };
      const calls: [string, (to: Methods) => Promise<unknown>][] = [
        ['logout', to => to.logout({ token })],
        ['ping', to => to.ping({ token, addresses: [] })],
        ['listPeers', to => to.listPeers({ token, after: '' })],
        ['index', to => say(to, token, {})],
        ['download', to => to.download({ token, file: 'a', all: false })],
        ['upload', to => to.upload({ token })],
        ['search', to => look(to, token, {})],
        ['getFile', to => to.getFile({ token, id: '0'.repeat(64) })],
      ];
      return calls.map(([name, call]): Refused => [`${name} with the token "${token}"`, call, failure]);
    }),
  ])('%s is refused with its code', async (_, call, failure) => {
    await expect(call(me)).rejects.toMatchObject(failure);
  });

  test('what a peer shares the others find, by words, name and id; and who could take a file', async () => {
    const holder = await me.login({ username, password, addresses });
    const { token } = await me.login({ username, password, addresses: ['other:1'] });
    const [id, word] = [idOf(username), uniqueName('word').replace('-', '')];
    const file = { id, name: `${username}/new\nline ${word}.txt`, size: 5, modifiedMs: 7 };
    const said = await me.index({ token: holder.token, files: [file], counter: 0, part: 0, parts: 0 });
    expect(methods.index.response.parse(said)).toEqual({ index: { counter: 1, files: 1, refused: '' } });
    const source = { peerId: holder.peerId, username, addresses, file };
    for (const what of [id, file.name, `new\nline ${word}.txt`])
      for (const all of [false, true]) {
        const { sources } = methods.download.response.parse(await me.download({ token, file: what, all }));
        expect(sources).toEqual([source]);
      }
    const wanted = { token, q: `LINE ${word.slice(0, -2)}*`, type: 'txt', minSize: 5, maxSize: 5, after: '' };
    const found = methods.search.response.parse(await me.search(wanted));
    expect(found).toEqual({
      files: [{ id, name: file.name, size: 5, type: 'txt', peers: 1, downloads: 0 }],
      next: '',
      isCut: false,
    });
    expect((await me.search({ ...wanted, minSize: 6, maxSize: 0 })).files).toEqual([]);
    expect(methods.getFile.response.parse(await me.getFile({ token, id }))).toEqual({
      ...{ id, size: 5, type: 'txt', names: [file.name], sources: [source], holders: 1 },
      ...{ downloads: 0, times: 0, bytes: 0, last: [] },
    });
    const other = methods.upload.response.parse(await me.upload({ token }));
    expect(other.peerId).toMatch(/^[\w-]{36}$/);
    expect(methods.ping.response.parse(await me.ping({ token: holder.token, addresses: [] }))).toEqual({
      leaseMs: 30_000,
      index: { counter: 1, files: 1, refused: '' },
    });
  });

  test.each<[string, (to: Methods, token: string) => Promise<unknown>, object]>([
    ['a file that nobody has', (to, token) => to.download({ token, file: 'none', all: false }), notFound],
    ['an id that nobody has', (to, token) => to.getFile({ token, id: '0'.repeat(64) }), notFound],
    ['an id that is none', (to, token) => to.getFile({ token, id: 'x' }), invalid(/^id: must be 64/)],
    [
      'a name that leaves the share',
      (to, token) => say(to, token, { name: '../a' }),
      invalid(/^files.0.name: must be/),
    ],
    ['a size that is none', (to, token) => say(to, token, { size: 2 ** 53 - 1, id: '' }), invalid(/^files.0.id/)],
    [
      'a search that is too long',
      (to, token) => look(to, token, { q: 'x'.repeat(257) }),
      invalid(/^q: must be at most/),
    ],
    ['a page that is none', (to, token) => look(to, token, { after: '-1' }), invalid(/^after: /)],
    ['a type that is none', (to, token) => look(to, token, { type: '.txt' }), invalid(/^type: /)],
  ])('%s is refused with its code', async (_, call, failure) => {
    const { token } = await me.login({ username, password, addresses });
    await expect(call(me, token)).rejects.toMatchObject(failure);
  });

  test('attempts on an account are counted together', async () => {
    const attempt = (to: Methods) => to.login({ username, password: 'wrong', addresses: [] });
    const both = [restDirectoryClient(directory.url), directoryClient(clientBus)];
    for (let i = 0; i < 10; i++)
      await expect(attempt(both[i % 2] ?? me)).rejects.toMatchObject({ code: 'DIRECTORY_LOGIN' });
    await expect(attempt(me)).rejects.toMatchObject({ status: 'RESOURCE_EXHAUSTED', code: 'DIRECTORY_ATTEMPTS' });
  });
});

describe('over the bus alone', () => {
  test('a method that there is not, and bytes that are none of its request, are refused', async () => {
    const call = (body: Uint8Array) =>
      clientBus.request({ type: 'warren.bus.v1.Call', key: 'directory.rpc', body }, { deadlineMs: 5_000 });
    const { Answer } = await import('../../proto/gen/warren/bus/v1/rpc.ts');
    const unknown = Answer.decode((await call(Call.encode(Call.create({ method: 'x.Y/Z' })).finish())).body);
    expect(unknown).toMatchObject({ code: 12, reason: 'CALL_METHOD' });
    const method = 'warren.directory.v1.DirectoryService/Ping';
    const torn = Call.encode(Call.create({ method, body: Buffer.from([0x0a, 0x7f, 0x01]) })).finish();
    expect(Answer.decode((await call(torn)).body)).toMatchObject({ code: 3, reason: 'CALL_BYTES' });
    const noCall = await call(Buffer.from([0xff, 0xff, 0xff]));
    expect(Answer.decode(noCall.body)).toMatchObject({ code: 3, reason: 'CALL_BYTES' });
  });

  test('nothing is sent in its name to where no caller waits, and who does not say who it is learns nothing', async () => {
    const connection = await connect(broker.url);
    onTestFinished(() => connection.close());
    const channel = await connection.createConfirmChannel();
    const heard: string[] = [];
    const { queue } = await channel.assertQueue('', { exclusive: true });
    const { username: userId } = new URL(broker.url);
    const keys = ['m.victim.job', replyKey('victim', 'his'), replyKey(userId, 'mine')] as const;
    for (const key of keys) await channel.bindQueue(queue, 'm', key);
    await channel.consume(queue, message => void heard.push(message?.properties.correlationId), { noAck: true });
    const body = Buffer.from(Call.encode(Call.create({ method: 'x.Y/Z' })).finish());
    const call = (correlationId: string, options: object) =>
      channel.publish('m', 'directory.rpc', body, { type: 'warren.bus.v1.Call', correlationId, ...options });
    call('to no address for answers', { userId, replyTo: keys[0] });
    call("to another account's", { userId, replyTo: keys[1] });
    call('of nobody', { replyTo: keys[2] });
    call('fine', { userId, replyTo: keys[2] });
    await until(
      () => heard.length,
      count => count > 0,
    );
    // Answers come in the order of calls that are refused alike: another one would have come by now.
    expect(heard).toEqual(['fine']);
  });

  test('a call has a deadline; one that comes while the directory restarts is answered by the next', async () => {
    const me = directoryClient(clientBus);
    const username = uniqueName('user');
    await me.createUser({ username, password });
    const { token, peerId } = await me.login({ username, password, addresses });
    await directory.close();
    await expect(me.ping({ token, addresses: [] }, { deadlineMs: 100 })).rejects.toMatchObject({
      code: 'BUS_DEADLINE',
    });
    const waiting = me.ping({ token, addresses: [] }, { deadlineMs: 20_000 });
    directory = await start(serverBus, dataDir);
    expect(await waiting).toEqual({ leaseMs: 30_000 });
    const { peers } = await me.listPeers({ token, after: '' });
    expect(peers).toEqual([{ peerId, username, addresses }]);
  });

  test('a second directory stands by, with accounts of its own', async () => {
    const other = bus(roles.directory('classic'));
    await other.ready();
    const second = await start(other, await temporaryDir());
    onTestFinished(async () => {
      await second.close();
      await other.close(200);
    });
    await until(
      async () => (await other.depth('directory.rpc')).consumers,
      count => count === 2,
    );
    const me = directoryClient(clientBus);
    const username = uniqueName('user');
    await me.createUser({ username, password });
    for (let i = 0; i < 4; i++) await me.login({ username, password, addresses });
  });
});

test('on a quorum queue as well', async () => {
  const own = await ownBroker();
  const role = roles.directory('quorum');
  const quorum = createBus({ urls: [own.url], name: 'quorum', role });
  const caller = createBus({ urls: [own.url], name: 'caller', role: roles.caller() });
  const second = await start(quorum, await temporaryDir(), 'quorum');
  onTestFinished(async () => {
    await second.close();
    await Promise.all([quorum.close(200), caller.close(200)]);
  });
  await Promise.all([quorum.ready(), caller.ready()]);
  expect(await directoryClient(caller).createUser({ username: 'ann', password })).toEqual({ username: 'ann' });
});
