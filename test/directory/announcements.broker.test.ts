import { setTimeout as wait } from 'node:timers/promises';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import type { FileSource, SharedFile } from '../../proto/gen/warren/directory/v1/files.ts';
import { TransferEvent, TransferState } from '../../proto/gen/warren/peer/v1/events.ts';
import { createBus } from '../../services/bus/amqp-bus.ts';
import type { Bus } from '../../services/bus/bus.ts';
import { directoryIndex } from '../../services/bus/queues.ts';
import { type Rights, rights } from '../../services/bus/rights.ts';
import { type QueueKind, roles } from '../../services/bus/topology.ts';
import { announcementOf, deltasOf, directoryClient, snapshotOf } from '../../services/directory/client.ts';
import { DirectoryStore, directoryDir } from '../../services/directory/store.ts';
import { createMemberKeys, type MemberKeys } from '../../services/lib/identity/keys.ts';
import { brokerAccountOf } from '../../services/lib/identity/member-id.ts';
import type { LocalBroker } from '../../services/up/local-broker.ts';
import { type Account, accountsOf } from '../compliance/accounts.ts';
import { ownBroker, temporaryDir } from '../support/broker.ts';
import { seededRandom } from '../support/seeded.ts';
import { until } from '../support/until.ts';
import { spawnWarren, type WarrenProcess } from '../support/warren-process.ts';
import { fileOf, idOf } from './index-under-test.ts';

/** Members with broker accounts of their own, and a directory that is a process. */

const password = 'correct horse';
const everything = { configure: '.*', write: '.*', read: '.*' };
/** Each for one test. */
const members = Array.from({ length: 6 }, createMemberKeys);
/** Those that the broker lets do anything. */
const unbound = new Set([2, 4]);
let broker: LocalBroker;

function accountOf(name: string, { topics, ...may }: Rights): Account {
  return { name, password, rights: may, topics };
}

function urlOf(account: string): string {
  const url = new URL(broker.url);
  url.username = account;
  url.password = password;
  return url.href;
}

beforeAll(async () => {
  broker = await ownBroker();
  const accounts = await accountsOf(broker);
  if (typeof accounts === 'string') throw new Error(accounts);
  await accounts.create([
    accountOf('directory', rights.directory()),
    ...members.map(({ id }, at) => {
      const name = brokerAccountOf(id);
      return unbound.has(at) ? { name, password, rights: everything } : accountOf(name, rights.member(id));
    }),
  ]);
});
afterAll(() => broker?.close());

/** A member as far as the directory knows it: what it shares, and its word on it. */
class Member {
  readonly shared = new Map<string, SharedFile>();
  readonly bus: Bus;
  readonly keys: MemberKeys;
  #counter = 0;

  constructor(keys: MemberKeys) {
    this.keys = keys;
    this.bus = createBus({ urls: [urlOf(brokerAccountOf(keys.id))], name: 'member', role: roles.member() });
  }

  async change(files: readonly SharedFile[], removed: readonly string[]): Promise<void> {
    for (const name of removed) this.shared.delete(name);
    for (const file of files) this.shared.set(file.name, file);
    for (const changes of deltasOf(() => ++this.#counter, { files, removed }))
      await this.bus.publish(announcementOf(this.keys, changes));
  }

  async sayAll(): Promise<void> {
    for (const changes of snapshotOf(++this.#counter, [...this.shared.values()]))
      await this.bus.publish(announcementOf(this.keys, changes));
  }
}

async function member(at: number): Promise<Member> {
  const keys = members[at];
  if (keys === undefined) throw new Error(`no member ${at}`);
  const made = new Member(keys);
  onTestFinished(() => made.bus.close(200));
  await made.bus.ready();
  return made;
}

/** The directory's members, as if they had enrolled. */
function enrol(dir: string): void {
  using store = new DirectoryStore(directoryDir(dir));
  for (const { id, publicKey } of members) {
    const username = `user-${id.slice(0, 8)}`;
    store.addAccount(username, '', 0);
    const joined = { joinedAt: 0, certificateEndsAt: 0, brokerHash: '', services: [] };
    store.members.put({ id, publicKey, username, ...joined });
  }
}

async function startDirectory(dir: string, ...more: string[]): Promise<WarrenProcess> {
  enrol(dir);
  const process = await spawnWarren([
    ...['directory', '--data', dir, '--directory-port', '0', '--broker', urlOf('directory')],
    ...more,
  ]);
  onTestFinished(() => process[Symbol.asyncDispose]());
  await process.line(/^directory is up$/);
  return process;
}

async function login(bus: Bus): Promise<string> {
  const directory = directoryClient(bus);
  await directory.createUser({ username: 'ann', password }).catch(() => {});
  return (await directory.login({ username: 'ann', password, addresses: [] })).token;
}

/** What the directory says is shared, of members that are there. */
async function told(bus: Bus, token: string): Promise<string[]> {
  const directory = directoryClient(bus);
  const found: string[] = [];
  for (let after = ''; ; ) {
    const page = await directory.search({ token, q: '', type: '', minSize: 0, maxSize: 0, after });
    for (const { id, name, size } of page.files) {
      // Of a file that goes in this moment nobody is told.
      const { sources } = await directory
        .download({ token, file: id, all: true })
        .catch(() => ({ sources: [] as FileSource[] }));
      for (const { peerId, file } of sources) if (file?.name === name) found.push(`${peerId} ${name} ${id} ${size}`);
    }
    after = page.next;
    if (after === '') return [...new Set(found)].sort();
  }
}

test('a directory that was killed and away knows all that was announced meanwhile, and nothing that was forged', async () => {
  const seed = Math.floor(Math.random() * 2 ** 31);
  console.log(`seed ${seed}`);
  const random = seededRandom(seed);
  const dir = await temporaryDir();
  const first = await startDirectory(dir);
  const peers = [await member(0), await member(1), await member(2)];
  const [ann, bob, eve] = peers as [Member, Member, Member];

  const act = async (peer: Member): Promise<void> => {
    const names = Array.from({ length: 1 + Math.floor(random() * 3) }, () => `f ${Math.floor(random() * 12)}`);
    const unique = [...new Set(names)];
    const kind = random();
    if (kind < 0.6)
      await peer.change(
        unique.map(name => fileOf(name, `${name} ${Math.floor(random() * 2)}`)),
        [],
      );
    else if (kind < 0.9) await peer.change([], unique);
    else await peer.sayAll();
  };
  /** Eve speaks for Ann. */
  const forge = async (): Promise<void> => {
    const [changes] = deltasOf(() => 1_000_000, { files: [fileOf('forged')], removed: [] });
    if (changes === undefined) throw new Error('no changes');
    const { key, ...signedByEve } = announcementOf(eve.keys, changes);
    await eve.bus.publish({ ...signedByEve, key: ann.keys.id });
    await eve.bus.publish({ ...announcementOf(ann.keys, changes), key });
  };

  for (let round = 0; round < 20; round++) await Promise.all(peers.map(act));
  await forge();
  first.kill('SIGKILL');
  for (let round = 0; round < 40; round++) await Promise.all(peers.map(act));
  await first.exit;
  await forge();

  const second = await startDirectory(dir);
  const tokens = await Promise.all(peers.map(({ bus }) => login(bus)));
  const truth = peers
    .flatMap(({ keys, shared }) => [...shared.values()].map(({ id, name, size }) => `${keys.id} ${name} ${id} ${size}`))
    .sort();
  await until(
    () => told(bob.bus, tokens[1] ?? ''),
    seen => JSON.stringify(seen) === JSON.stringify(truth),
  );
  await second.line(/^directory: dropped an announcement of "m\.[0-9a-f]{64}": it/);
  second.kill('SIGTERM');
  expect(await second.exit).toBe(0);
  expect(second.lines.filter(line => line.includes('dropped'))).toHaveLength(1);
});

test('whose broker account calls, that member it is', async () => {
  await startDirectory(await temporaryDir());
  const ann = await member(3);
  const directory = directoryClient(ann.bus);
  const token = await login(ann.bus);
  const { peers } = await directory.listPeers({ token, after: '' });
  expect(peers).toEqual([{ peerId: ann.keys.id, username: 'ann', addresses: [] }]);
  await ann.change([fileOf('a')], []);
  await until(
    () => directory.ping({ token, addresses: [] }),
    ({ index }) => index?.counter === 1 && index.files === 1,
  );
});

/** As its member tells it. */
function tellTransfer(bus: Bus, event: TransferEvent): void {
  const body = TransferEvent.encode(event).finish();
  bus.send({ type: 'warren.peer.v1.TransferEvent', key: event.memberId, body });
}

test('what members downloaded is counted, as far as they say it of themselves', async () => {
  await startDirectory(await temporaryDir());
  const [ann, bob] = [await member(4), await member(5)];
  const directory = directoryClient(ann.bus);
  const token = await login(ann.bus);
  await ann.change([fileOf('a')], []);
  await until(
    () => directory.search({ token, q: 'a', type: '', minSize: 0, maxSize: 0, after: '' }),
    ({ files }) => files.length === 1,
  );
  const event = TransferEvent.create({
    transferId: 't1',
    memberId: bob.keys.id,
    fileId: idOf('a'),
    state: TransferState.TRANSFER_STATE_DONE,
    bytes: 10,
    totalBytes: 10,
    sources: [{ memberId: ann.keys.id, relayed: false, bytes: 10 }],
  });
  tellTransfer(bob.bus, { ...event, state: TransferState.TRANSFER_STATE_STARTED });
  tellTransfer(bob.bus, event);
  tellTransfer(bob.bus, event);
  tellTransfer(ann.bus, { ...event, transferId: 't2' });
  tellTransfer(bob.bus, { ...event, transferId: 't3', state: TransferState.TRANSFER_STATE_FAILED });
  tellTransfer(bob.bus, { ...event, transferId: 't4' });
  const seen = await until(
    () => directory.getFile({ token, id: idOf('a') }),
    ({ times }) => times >= 2,
  );
  expect(seen).toMatchObject({ downloads: 1, times: 2, bytes: 20, last: [{ memberId: bob.keys.id, times: 2 }] });
});

test.each<QueueKind>(['classic', 'quorum'])(
  'a %s queue that is full refuses, and the member hears of it; with room again it takes',
  async kind => {
    const own = await ownBroker();
    const accounts = await accountsOf(own);
    if (typeof accounts === 'string') throw new Error(accounts);
    const bus = createBus({ urls: [own.url], name: 'directory', role: roles.directory(kind) });
    onTestFinished(() => bus.close(200));
    await bus.ready();
    const message = {
      type: 'warren.directory.v1.Announcement',
      key: 'x',
      body: Buffer.alloc(4 * 1024 * 1024),
    } as const;
    let taken = 0;
    const fill = async (): Promise<void> => {
      for (; taken < 40; taken++) await bus.publish(message, AbortSignal.timeout(20_000));
    };
    await expect(fill()).rejects.toMatchObject({ code: 'BUS_REFUSED' });
    expect(taken).toBeGreaterThanOrEqual(7);
    const consumer = await bus.consume(directoryIndex(kind).queue, () => 'ack', {
      prefetch: 8,
    });
    onTestFinished(() => consumer.close());
    await until(
      () => bus.depth('directory.index'),
      ({ messages }) => messages === 0,
    );
    await wait(0);
    await bus.publish(message);
  },
);
