import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { signedLogin } from '../../services/directory/client.ts';
import { hashPassword } from '../../services/directory/password.ts';
import { DirectoryStore } from '../../services/directory/store.ts';
import { createMemberKeys, type MemberKeys } from '../../services/lib/identity/keys.ts';
import { temporaryDir } from '../support/broker.ts';
import { directoryIn, hour, type Methods, World } from './directory-under-test.ts';
import { fileOf, idOf, inconsistencies } from './index-under-test.ts';

const password = 'correct horse';
const addresses = ['10.0.0.1:50051'];
const list = { counter: 0, part: 0, parts: 0 };
const search = { q: '', type: '', minSize: 0, maxSize: 0, after: '' };
const keys = createMemberKeys();
const others = createMemberKeys();
let dir = '';
let world: World;
let made: ReturnType<typeof directoryIn>;
let me: Methods;

beforeEach(async () => {
  dir = await temporaryDir();
  world = new World();
  made = directoryIn(dir, world);
  onTestFinished(() => made.store.close());
  me = made.from('here');
  for (const username of ['ann', 'bob', 'eve']) await me.createUser({ username, password });
  joined('ann', keys);
});

function joined(username: string, { id, publicKey }: MemberKeys): void {
  const dates = { joinedAt: world.now, certificateEndsAt: world.now + hour };
  made.store.members.put({ id, publicKey, username, services: [], brokerHash: '', ...dates });
}

async function login(username: string, to = me, at = addresses) {
  return to.login({ username, password, addresses: at });
}

describe('a session that is no member', () => {
  test('shares a whole list, which replaces the one before and goes with the session', async () => {
    const ann = await login('ann');
    expect(await me.index({ ...list, token: ann.token, files: [fileOf('a'), fileOf('b')] })).toEqual({
      index: { counter: 1, files: 2, refused: '' },
    });
    expect(await me.index({ ...list, token: ann.token, files: [fileOf('c')] })).toMatchObject({ index: { files: 1 } });
    const bob = await login('bob');
    await expect(me.download({ token: bob.token, file: 'a', all: false })).rejects.toMatchObject({
      status: 'NOT_FOUND',
      code: 'DIRECTORY_FILE',
    });
    const { sources } = await me.download({ token: bob.token, file: 'c', all: false });
    expect(sources).toEqual([{ peerId: ann.peerId, username: 'ann', addresses, file: fileOf('c') }]);
    expect(await me.ping({ token: ann.token, addresses: [] })).toMatchObject({ index: { counter: 2, files: 1 } });
    await me.logout({ token: ann.token });
    await expect(me.download({ token: bob.token, file: 'c', all: false })).rejects.toMatchObject({
      code: 'DIRECTORY_FILE',
    });
    using db = new DatabaseSync(join(dir, 'directory.db'));
    expect(inconsistencies(db)).toEqual([]);
  });

  test('does not count, nor share in parts', async () => {
    const { token } = await login('ann');
    for (const wrong of [{ counter: 1 }, { parts: 2 }])
      await expect(me.index({ ...list, token, files: [], ...wrong })).rejects.toMatchObject({
        code: 'DIRECTORY_REQUEST',
      });
  });

  test('loses its files when the account is disabled', async () => {
    const ann = await login('ann');
    await me.index({ ...list, token: ann.token, files: [fileOf('a')] });
    using other = new DirectoryStore(dir);
    other.disable('ann');
    const bob = await login('bob');
    expect((await me.search({ ...search, token: bob.token })).files).toEqual([]);
  });
});

describe('a member', () => {
  test('is the one whose broker account calls, however often it logs in: one peer, where its newest session says', async () => {
    const daemon = made.from('bus:m', keys.id);
    const first = await login('ann', daemon, ['old:1']);
    world.pass(1);
    const second = await login('ann', daemon, ['new:1']);
    expect([first.peerId, second.peerId]).toEqual([keys.id, keys.id]);
    const bob = await login('bob');
    const list = async () =>
      (await me.listPeers({ token: bob.token, after: '' })).peers.filter(({ username }) => username === 'ann');
    expect(await list()).toEqual([{ peerId: keys.id, username: 'ann', addresses: ['new:1'] }]);
    await me.logout({ token: second.token });
    expect(await list()).toEqual([{ peerId: keys.id, username: 'ann', addresses: ['old:1'] }]);
    world.pass(20_000);
    await me.ping({ token: bob.token, addresses: [] });
    world.pass(10_000);
    expect(await list()).toEqual([]);
  });

  test('is, over REST, the one who signed', async () => {
    const request = signedLogin(keys, { username: 'ann', password, addresses });
    expect(await me.login(request)).toMatchObject({ peerId: keys.id });
    const bad = [
      { ...request, addresses: ['elsewhere:1'] },
      { ...request, username: 'bob' },
      { ...request, memberKey: Buffer.from(others.publicKey).toString('hex') },
      { ...request, memberSignature: '0'.repeat(128) },
    ];
    for (const each of bad)
      await expect(me.login(each)).rejects.toMatchObject({ status: 'UNAUTHENTICATED', code: 'DIRECTORY_MEMBER' });
    const { memberSignature: _, ...unsigned } = request;
    await expect(me.login(unsigned)).rejects.toMatchObject({ code: 'DIRECTORY_MEMBER' });
    const daemon = made.from('bus:m', others.id);
    await expect(daemon.login(request)).rejects.toMatchObject({ code: 'DIRECTORY_MEMBER' });
    await expect(me.login({ ...request, memberKey: 'x' })).rejects.toMatchObject({ code: 'DIRECTORY_REQUEST' });
  });

  test('is one that has joined, for its own account: another key is no peer, whose files would stay for good', async () => {
    const refused = { status: 'UNAUTHENTICATED', code: 'DIRECTORY_MEMBER' };
    const stranger = signedLogin(createMemberKeys(), { username: 'ann', password, addresses });
    await expect(me.login(stranger)).rejects.toMatchObject(refused);
    joined('bob', others);
    await expect(me.login(signedLogin(others, { username: 'ann', password, addresses }))).rejects.toMatchObject(
      refused,
    );
    await me.login(signedLogin(others, { username: 'bob', password, addresses }));
    made.store.disable('bob');
    await expect(me.login(signedLogin(others, { username: 'bob', password, addresses }))).rejects.toMatchObject(
      refused,
    );
  });

  test('is seen, and not active for ever, when the clock was ahead and is put right', async () => {
    const daemon = made.from('bus:m', keys.id);
    const seen = () => made.store.members.find(keys.id);
    world.now += 30 * 24 * hour;
    await daemon.ping({ token: '', addresses: [] });
    world.now -= 30 * 24 * hour;
    world.pass(60_000);
    await daemon.ping({ token: '', addresses: [] });
    expect(seen()?.seenAt).toBe(world.now);
    expect(seen()?.activeUntil).toBe(world.now + 30_000);
  });

  test('stays active while the disk is full, which is said once', async () => {
    using db = new DatabaseSync(join(dir, 'directory.db'));
    db.exec(`CREATE TRIGGER full BEFORE UPDATE ON members BEGIN SELECT RAISE(ABORT, 'database or disk is full'); END`);
    const daemon = made.from('bus:m', keys.id);
    for (let pings = 0; pings < 3; pings++) {
      world.pass(20_000);
      await daemon.ping({ token: '', addresses: [] });
    }
    expect((await daemon.listPeers({ token: '', after: '' })).peers).toMatchObject([{ peerId: keys.id }]);
    expect(made.warnings).toEqual(['cannot note when members were seen: database or disk is full']);
    db.exec('DROP TRIGGER full');
    world.pass(20_000);
    await daemon.ping({ token: '', addresses: [] });
    expect(made.store.members.find(keys.id)?.seenAt).toBe(world.now);
  });

  test('that shows who it is with a wrong password is not let in', async () => {
    const request = signedLogin(keys, { username: 'ann', password: 'wrong', addresses });
    await expect(me.login(request)).rejects.toMatchObject({ code: 'DIRECTORY_LOGIN' });
  });

  test('says its list with a counter, in parts, and an older one changes nothing', async () => {
    const { token } = await login('ann', made.from('bus:m', keys.id));
    const say = (counter: number, files: ReturnType<typeof fileOf>[], part = 0, parts = 0) =>
      me.index({ token, files, counter, part, parts });
    await expect(say(0, [])).rejects.toMatchObject({ code: 'DIRECTORY_REQUEST', message: /^counter: / });
    await expect(say(1, [], 2, 2)).rejects.toMatchObject({
      code: 'DIRECTORY_REQUEST',
      message: 'part must be less than parts',
    });
    await expect(say(1, [fileOf('a'), fileOf('a', 2)])).rejects.toMatchObject({ message: 'no name may come twice' });
    expect(await say(5, [fileOf('a')])).toEqual({ index: { counter: 5, files: 1, refused: '' } });
    expect(await say(6, [fileOf('b')], 1, 2)).toMatchObject({ index: { counter: 6, files: 2 } });
    expect(await say(6, [fileOf('c')], 0, 2)).toMatchObject({ index: { counter: 6, files: 2 } });
    expect(await say(4, [])).toEqual({ index: { counter: 6, files: 2, refused: '' } });
    expect((await me.search({ ...search, token })).files.map(({ name }) => name)).toEqual(['b', 'c']);
  });

  test('keeps its files while it is away, with nobody to get them from', async () => {
    const ann = await login('ann', made.from('bus:m', keys.id));
    await me.index({ token: ann.token, files: [fileOf('a')], counter: 1, part: 0, parts: 1 });
    await me.logout({ token: ann.token });
    const bob = await login('bob');
    await expect(me.download({ token: bob.token, file: 'a', all: true })).rejects.toMatchObject({
      status: 'NOT_FOUND',
      code: 'DIRECTORY_NO_SOURCE',
    });
    expect((await me.search({ ...search, token: bob.token })).files).toMatchObject([{ name: 'a', peers: 0 }]);
    expect(await me.getFile({ token: bob.token, id: idOf('a') })).toMatchObject({ holders: 1, sources: [] });
  });
});

describe('of three peers', () => {
  let sessions: Awaited<ReturnType<typeof login>>[] = [];
  const token = (at: number): string => sessions[at]?.token ?? '';
  const peer = (at: number): string => sessions[at]?.peerId ?? '';

  beforeEach(async () => {
    sessions = [await login('ann'), await login('bob'), await login('eve')];
    const lists = [[fileOf('x/a.txt', 1), fileOf('b', 2)], [fileOf('a.txt', 1), fileOf('x/a.txt', 3)], []];
    for (const [at, files] of lists.entries()) await me.index({ ...list, token: token(at), files });
  });

  const drawn = async (ask: () => Promise<string | undefined>): Promise<string[]> => {
    const found = new Set<string>();
    for (let i = 0; i < 60; i++) found.add((await ask()) ?? '');
    return [...found].sort();
  };

  test('any that has the file is named, by id or name; the asker only if nobody else has it', async () => {
    const ask = (at: number, file: string) => async () =>
      (await me.download({ token: token(at), file, all: false })).sources[0]?.peerId;
    expect(await drawn(ask(2, idOf(1)))).toEqual([peer(0), peer(1)]);
    expect(await drawn(ask(2, 'x/a.txt'))).toEqual([peer(0), peer(1)]);
    expect(await drawn(ask(0, idOf(1)))).toEqual([peer(1)]);
    expect(await drawn(ask(0, 'b'))).toEqual([peer(0)]);
  });

  test('all that have the file are named, with how each calls it', async () => {
    const { sources } = await me.download({ token: token(2), file: idOf(1), all: true });
    expect(new Set(sources)).toEqual(
      new Set([
        { peerId: peer(0), username: 'ann', addresses, file: fileOf('x/a.txt', 1) },
        { peerId: peer(1), username: 'bob', addresses, file: fileOf('a.txt', 1) },
      ]),
    );
    const named = await me.download({ token: token(2), file: 'x/a.txt', all: true });
    expect(named.sources.map(({ file }) => file?.id).sort()).toEqual([idOf(1), idOf(3)].sort());
    const exact = await me.download({ token: token(2), file: 'a.txt', all: true });
    expect(exact.sources.map(({ peerId }) => peerId)).toEqual([peer(1)]);
  });

  test('any but the asker is named to give a file to, and those that cannot be reached last', async () => {
    const ask = (at: number) => async () => (await me.upload({ token: token(at) })).peerId;
    expect(await drawn(ask(0))).toEqual([peer(1), peer(2)].sort());
    await me.logout({ token: token(1) });
    const hidden = await login('bob', me, []);
    expect(await drawn(ask(0))).toEqual([peer(2)]);
    await me.logout({ token: token(2) });
    expect(await drawn(ask(0))).toEqual([hidden.peerId]);
    await me.logout({ token: hidden.token });
    await expect(me.upload({ token: token(0) })).rejects.toMatchObject({
      status: 'NOT_FOUND',
      code: 'DIRECTORY_ALONE',
    });
  });

  test('of a file all is known: names, who has it, and who downloaded it', async () => {
    const done = { memberId: keys.id, fileId: idOf(1), transferId: 't1', bytes: 10 };
    made.store.downloads.count([done, done, { ...done, memberId: others.id }], world.now);
    made.store.downloads.count([{ ...done, transferId: 't2', bytes: 5 }], world.now + 1);
    const about = await me.getFile({ token: token(2), id: idOf(1) });
    expect(about).toMatchObject({
      id: idOf(1),
      size: 10,
      type: 'txt',
      names: ['a.txt', 'x/a.txt'],
      holders: 2,
      downloads: 2,
      times: 3,
      bytes: 25,
      last: [
        { memberId: keys.id, times: 2, bytes: 15, atMs: world.now + 1 },
        { memberId: others.id, times: 1, bytes: 10, atMs: world.now },
      ],
    });
    expect(about.sources.map(({ peerId }) => peerId).sort()).toEqual([peer(0), peer(1)].sort());
    await expect(me.getFile({ token: token(2), id: idOf('none') })).rejects.toMatchObject({ status: 'NOT_FOUND' });
  });

  test('files are found with how many have them, those that more downloaded first', async () => {
    made.store.downloads.count([{ memberId: keys.id, fileId: idOf(3), transferId: 't', bytes: 1 }], world.now);
    const { files, next, isCut } = await me.search({ ...search, token: token(2), type: 'txt' });
    expect(files).toEqual([
      { id: idOf(3), name: 'x/a.txt', size: 10, type: 'txt', peers: 1, downloads: 1 },
      { id: idOf(1), name: 'a.txt', size: 10, type: 'txt', peers: 2, downloads: 0 },
      { id: idOf(1), name: 'x/a.txt', size: 10, type: 'txt', peers: 2, downloads: 0 },
    ]);
    expect({ next, isCut }).toEqual({ next: '', isCut: false });
  });

  test('that lies about a size is one more answer, and hides no other', async () => {
    await me.index({ ...list, token: token(2), files: [{ ...fileOf('lie.txt', 1), size: 999 }] });
    const { sources } = await me.download({ token: token(0), file: idOf(1), all: true });
    expect(sources.map(({ file }) => file?.size).sort()).toEqual([10, 10, 999]);
    expect(await me.getFile({ token: token(0), id: idOf(1) })).toMatchObject({ size: 10, names: ['a.txt', 'x/a.txt'] });
  });
});

test('counts are of files that somebody shares, and the oldest go when there are too many', async () => {
  const { DownloadCounts } = await import('../../services/directory/download-counts.ts');
  const { token } = await login('ann');
  await me.index({ ...list, token, files: Array.from({ length: 300 }, (_, i) => fileOf(`f${i}`, i)) });
  using db = new DatabaseSync(join(dir, 'directory.db'));
  const counts = new DownloadCounts(db, 200);
  const done = (file: string | number) => ({ memberId: keys.id, fileId: idOf(file), transferId: 't', bytes: 1 });
  counts.count([done('unknown')], 0);
  for (let i = 0; i < 300; i++) counts.count([done(i)], i);
  const rows = db.prepare('SELECT count(*) AS count, min(at) AS oldest FROM downloads').get();
  expect(Number(rows?.count)).toBeLessThanOrEqual(200);
  expect(Number(rows?.oldest)).toBeGreaterThanOrEqual(100);
  counts.count([{ ...done(299), transferId: 'u', bytes: Number.MAX_SAFE_INTEGER }], 301);
  expect(counts.of(idOf(299))).toMatchObject({ times: 2, bytes: Number.MAX_SAFE_INTEGER });
});

test('a file of the version before keeps its accounts and sessions, and takes an index', async () => {
  const old = await temporaryDir();
  const token = 'a token of before';
  {
    using db = new DatabaseSync(join(old, 'directory.db'));
    db.exec(`
      CREATE TABLE accounts (
        username TEXT PRIMARY KEY, password_hash TEXT NOT NULL, disabled INTEGER NOT NULL DEFAULT 0, created_at INTEGER NOT NULL
      ) STRICT;
      CREATE TABLE sessions (
        token_hash BLOB PRIMARY KEY, peer_id TEXT NOT NULL UNIQUE, username TEXT NOT NULL REFERENCES accounts ON DELETE CASCADE,
        addresses TEXT NOT NULL, created_at INTEGER NOT NULL, expires_at INTEGER NOT NULL
      ) STRICT;
      CREATE INDEX sessions_of ON sessions (username, created_at);
      PRAGMA user_version = 1;
    `);
    const hash = await hashPassword(password);
    for (const [name, disabled] of [
      ['ann', 0],
      ['off', 1],
    ] as const)
      db.prepare('INSERT INTO accounts VALUES (?, ?, ?, ?)').run(name, hash, disabled, world.now);
    db.prepare('INSERT INTO sessions VALUES (?, ?, ?, ?, ?, ?)').run(
      createHash('sha256').update(token).digest(),
      ...['peer-before', 'ann', JSON.stringify(addresses), world.now, world.now + hour],
    );
  }
  for (let start = 0; start < 2; start++) {
    const { store, from } = directoryIn(old, world);
    const after = from('here');
    await after.ping({ token, addresses: [] });
    expect((await after.listPeers({ token, after: '' })).peers).toContainEqual({
      peerId: 'peer-before',
      username: 'ann',
      addresses,
    });
    expect(await after.index({ ...list, token, files: [fileOf('a')] })).toMatchObject({ index: { files: 1 } });
    await login('ann', after);
    await expect(login('off', after)).rejects.toMatchObject({ code: 'DIRECTORY_LOGIN' });
    store.close();
  }
  using store = new DirectoryStore(old);
  // The references still hold: no session without its account.
  using db = new DatabaseSync(join(old, 'directory.db'));
  db.exec("DELETE FROM accounts WHERE username = 'ann'");
  expect(store.sessions(world.now)).toEqual([]);
  expect(db.prepare('SELECT count(*) AS count FROM sessions').get()).toMatchObject({ count: 0 });
});
