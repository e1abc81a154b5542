import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { hashPassword, verifyPassword } from '../../services/directory/password.ts';
import { DirectoryStore } from '../../services/directory/store.ts';
import { temporaryDir } from '../support/broker.ts';
import { directoryIn, hour, type Methods, World } from './directory-under-test.ts';

const ann = { username: 'ann', password: 'correct horse' };
const addresses = ['10.0.0.1:50051'];
let dir = '';
let world: World;

beforeEach(async () => {
  world = new World();
});

async function start(options = {}): Promise<ReturnType<typeof directoryIn> & { me: Methods }> {
  dir = await temporaryDir();
  const made = directoryIn(dir, world, options);
  onTestFinished(() => made.store.close());
  return { ...made, me: made.from('here') };
}

describe('passwords', () => {
  test('are kept as argon2id with its parameters, salted, and verified in any spelling of the same text', async () => {
    const one = await hashPassword('pässword');
    expect(one).toMatch(/^\$argon2id\$v=19\$m=19456,t=2,p=1\$[\w+/]{22}\$[\w+/]{43}$/);
    expect(await hashPassword('pässword')).not.toBe(one);
    expect(await verifyPassword('pa\u0308ssword', one)).toBe(true);
    expect(await verifyPassword('password', one)).toBe(false);
    expect(await verifyPassword('password', undefined)).toBe(false);
  });

  test('made with other costs are still verified', async () => {
    // As the reference implementation does it: echo -n password | argon2 somesalt -id -t 1 -k 64 -p 1 -l 16
    const { argon2Sync } = await import('node:crypto');
    const salt = Buffer.from('somesalt');
    const options = { message: 'password', nonce: salt, parallelism: 1, tagLength: 16, memory: 64, passes: 1 };
    const [encodedSalt, tag] = [salt, argon2Sync('argon2id', options)].map(bytes =>
      bytes.toString('base64').replaceAll('=', ''),
    );
    expect(await verifyPassword('password', `$argon2id$v=19$m=64,t=1,p=1$${encodedSalt}$${tag}`)).toBe(true);
  });
});

describe('accounts', () => {
  test('are made once, unless that is switched off', async () => {
    const { me } = await start();
    expect(await me.createUser(ann)).toEqual({ username: 'ann' });
    await expect(me.createUser(ann)).rejects.toMatchObject({ status: 'ALREADY_EXISTS', code: 'DIRECTORY_USER_EXISTS' });
    const closed = await start({ openRegistration: false });
    await expect(closed.me.createUser(ann)).rejects.toMatchObject({ code: 'DIRECTORY_REGISTRATION_CLOSED' });
  });

  test('that two make at the same moment belong to one of them', async () => {
    const { me } = await start();
    const outcomes = await Promise.allSettled([me.createUser(ann), me.createUser({ ...ann, password: 'another one' })]);
    expect(outcomes.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
  });

  test.each([
    [{ username: 'Ann' }, 'username'],
    [{ username: '-ann' }, 'username'],
    [{ username: 'a'.repeat(33) }, 'username'],
    [{ username: 'ann\n' }, 'username'],
    [{ password: 'short' }, 'password'],
    [{ password: 'x'.repeat(257) }, 'password'],
  ])('are refused with one line that does not repeat the value: %j', async (wrong, field) => {
    const { me } = await start();
    const error = await me.createUser({ ...ann, ...wrong }).catch(thrown => thrown);
    expect(error).toMatchObject({ status: 'INVALID_ARGUMENT', code: 'DIRECTORY_REQUEST' });
    expect(error.message).toMatch(new RegExp(`^${field}: must be [^\\n]+$`));
    expect(error.message).not.toContain(Object.values(wrong)[0]);
  });

  test('that are disabled, unknown, or asked with a wrong password get one answer', async () => {
    const { me, store } = await start();
    for (const username of ['ann', 'off']) await me.createUser({ ...ann, username });
    store.disable('off');
    const wrong = [
      { ...ann, password: 'wrong' },
      { ...ann, username: 'nobody' },
      { ...ann, username: 'off' },
    ];
    for (const each of wrong) {
      await expect(me.login({ ...each, addresses })).rejects.toMatchObject({
        status: 'UNAUTHENTICATED',
        code: 'DIRECTORY_LOGIN',
        message: 'wrong user name or password',
      });
    }
  });
});

describe('attempts', () => {
  test('on one account are limited wherever they come from; others are not; a right one does not count', async () => {
    const { me, from } = await start();
    await me.createUser(ann);
    await me.createUser({ ...ann, username: 'bob' });
    for (let i = 0; i < 15; i++) await me.login({ ...ann, addresses });
    for (let i = 0; i < 10; i++)
      await expect(from(`address ${i}`).login({ ...ann, password: 'wrong', addresses })).rejects.toMatchObject({
        code: 'DIRECTORY_LOGIN',
      });
    await expect(me.login({ ...ann, addresses })).rejects.toMatchObject({
      status: 'RESOURCE_EXHAUSTED',
      code: 'DIRECTORY_ATTEMPTS',
      message: 'too many attempts: try again in 10 s',
      retryAfterMs: 10_000,
    });
    await me.login({ ...ann, username: 'bob', addresses });
    world.pass(10_000);
    await me.login({ ...ann, addresses });
  });

  test('on an account that is not there are limited alike', async () => {
    const { me } = await start();
    const nobody = { username: 'nobody', password: 'wrong', addresses };
    for (let i = 0; i < 10; i++) await expect(me.login(nobody)).rejects.toMatchObject({ code: 'DIRECTORY_LOGIN' });
    await expect(me.login(nobody)).rejects.toMatchObject({ code: 'DIRECTORY_ATTEMPTS' });
  });

  test('from one address are limited whatever accounts they try, and making accounts counts', async () => {
    const { me, from } = await start();
    for (let i = 0; i < 60; i++) {
      const username = `user-${i}`;
      const attempt =
        i % 2 ? me.login({ username, password: 'wrong', addresses }) : me.createUser({ ...ann, username });
      await attempt.catch(() => {});
    }
    for (const attempt of [me.login({ ...ann, addresses }), me.createUser(ann)])
      await expect(attempt).rejects.toMatchObject({ code: 'DIRECTORY_ATTEMPTS' });
    await from('elsewhere').createUser(ann);
  });
});

describe('sessions', () => {
  test('end with logout, and with their time', async () => {
    const { me } = await start();
    await me.createUser(ann);
    const one = await me.login({ ...ann, addresses });
    const two = await me.login({ ...ann, addresses });
    expect(one.expiresInS).toBe(3_600);
    await me.logout({ token: one.token });
    await expect(me.ping({ token: one.token, addresses: [] })).rejects.toMatchObject({
      status: 'UNAUTHENTICATED',
      code: 'DIRECTORY_TOKEN',
    });
    world.pass(hour - 1);
    await me.ping({ token: two.token, addresses: [] });
    world.pass(1);
    await expect(me.ping({ token: two.token, addresses: [] })).rejects.toMatchObject({ code: 'DIRECTORY_TOKEN' });
  });

  test.each([
    ['a new password', (store: DirectoryStore) => store.setPassword('ann', 'x')],
    ['being disabled', (store: DirectoryStore) => store.disable('ann')],
  ])('end with %s, given by another process', async (_, act) => {
    const { me } = await start();
    await me.createUser(ann);
    await me.createUser({ ...ann, username: 'bob' });
    const { token } = await me.login({ ...ann, addresses });
    const bob = await me.login({ ...ann, username: 'bob', addresses });
    using other = new DirectoryStore(dir);
    expect(act(other)).toBe(true);
    await expect(me.ping({ token, addresses: [] })).rejects.toMatchObject({ code: 'DIRECTORY_TOKEN' });
    const { peers } = await me.listPeers({ token: bob.token, after: '' });
    expect(peers.map(({ username }) => username)).toEqual(['bob']);
  });

  test('do not begin when the password changed while it was checked', async () => {
    const { me, store } = await start();
    await me.createUser(ann);
    const hash = await hashPassword('a new one');
    const login = me.login({ ...ann, addresses });
    store.setPassword('ann', hash);
    await expect(login).rejects.toMatchObject({ code: 'DIRECTORY_LOGIN' });
  });

  test('of one account are 64 at most: the oldest goes', async () => {
    const { me } = await start();
    await me.createUser(ann);
    const first = await me.login({ ...ann, addresses });
    world.pass(1);
    const second = await me.login({ ...ann, addresses });
    world.pass(1);
    for (let i = 0; i < 63; i++) await me.login({ ...ann, addresses });
    await expect(me.ping({ token: first.token, addresses: [] })).rejects.toMatchObject({ code: 'DIRECTORY_TOKEN' });
    await me.ping({ token: second.token, addresses: [] });
  });

  test('are kept without their tokens, in a file that is the user’s alone', async () => {
    const { me } = await start();
    await me.createUser(ann);
    const { token } = await me.login({ ...ann, addresses });
    for (const name of ['directory.db', 'directory.db-wal', 'directory.db-shm'])
      expect((await stat(join(dir, name))).mode & 0o777).toBe(0o600);
    using db = new DatabaseSync(join(dir, 'directory.db'), { readOnly: true });
    const everything = JSON.stringify([
      db.prepare('SELECT * FROM accounts').all(),
      db.prepare('SELECT *, hex(token_hash) FROM sessions').all(),
    ]);
    expect(everything).toContain('$argon2id$');
    expect(everything).not.toContain(token);
    expect(everything).not.toContain(ann.password);
  });
});

describe('peers', () => {
  test('are there from login on, drop out after their lease, and are back with the next ping', async () => {
    const { me } = await start();
    await me.createUser(ann);
    const { token, peerId } = await me.login({ ...ann, addresses });
    const all = async () => (await me.listPeers({ token, after: '' })).peers;
    expect(await all()).toEqual([{ peerId, username: 'ann', addresses }]);
    world.pass(29_999);
    expect(await all()).toHaveLength(1);
    world.pass(1);
    expect(await all()).toEqual([]);
    expect(await me.ping({ token, addresses: [] })).toEqual({ leaseMs: 30_000 });
    expect(await all()).toEqual([{ peerId, username: 'ann', addresses }]);
    await me.ping({ token, addresses: ['10.0.0.2:1', 'host.example:2'] });
    expect(await all()).toEqual([{ peerId, username: 'ann', addresses: ['10.0.0.2:1', 'host.example:2'] }]);
  });

  test('come back after a restart with their next ping, with their addresses', async () => {
    const before = await start();
    await before.me.createUser(ann);
    const { token, peerId } = await before.me.login({ ...ann, addresses });
    const { store, from } = directoryIn(dir, world);
    onTestFinished(() => store.close());
    const me = from('here');
    expect((await me.listPeers({ token, after: '' })).peers).toEqual([]);
    await me.ping({ token, addresses: [] });
    expect((await me.listPeers({ token, after: '' })).peers).toEqual([{ peerId, username: 'ann', addresses }]);
  });

  test('do not follow the time of day: a clock that jumps changes no lease', async () => {
    const { me } = await start();
    await me.createUser(ann);
    const { token } = await me.login({ ...ann, addresses });
    world.now += hour / 2;
    expect((await me.listPeers({ token, after: '' })).peers).toHaveLength(1);
  });

  test('come in pages', async () => {
    const { me, store } = await start();
    await me.createUser(ann);
    const hash = store.findAccount('ann')?.passwordHash ?? '';
    const { token } = await me.login({ ...ann, addresses });
    for (let i = 0; i < 600; i++) {
      const username = `user-${i}`;
      store.addAccount(username, hash, world.now);
    }
    // Without 600 times argon2: sessions as login makes them, which come to life with a ping.
    const { createHash } = await import('node:crypto');
    for (let i = 0; i < 600; i++) {
      const own = `token of ${i}`;
      const tokenHash = createHash('sha256').update(own).digest();
      const session = { peerId: world.next('peer'), username: `user-${i}`, addresses, expiresAt: world.now + hour };
      expect(store.addSession({ ...session, tokenHash, passwordHash: hash, now: world.now })).toBe(true);
      await me.ping({ token: own, addresses: [] });
    }
    const first = await me.listPeers({ token, after: '' });
    const second = await me.listPeers({ token, after: first.next });
    expect([first.peers.length, second.peers.length, second.next]).toEqual([500, 101, '']);
    expect(new Set([...first.peers, ...second.peers].map(({ peerId }) => peerId)).size).toBe(601);
  });
});

test('a call whose caller has gone is not done', async () => {
  const { handlers, store } = await start();
  const signal = AbortSignal.abort();
  await expect(handlers.createUser(ann, { address: 'here', signal })).rejects.toMatchObject({
    status: 'DEADLINE_EXCEEDED',
    code: 'CALL_DEADLINE',
  });
  expect(store.findAccount('ann')).toBeUndefined();
});

test('a file of another version, or none, is one line', async () => {
  dir = await temporaryDir();
  new DirectoryStore(dir).close();
  const file = join(dir, 'directory.db');
  {
    using db = new DatabaseSync(file);
    db.exec('PRAGMA user_version = 7');
  }
  expect(() => new DirectoryStore(dir)).toThrow(/^.*directory\.db is of another version of Warren/);
  const { writeFile } = await import('node:fs/promises');
  const other = await temporaryDir();
  await writeFile(join(other, 'directory.db'), 'this is no database, whatever its name says '.repeat(100));
  expect(() => new DirectoryStore(other)).toThrow(expect.objectContaining({ code: 'DIRECTORY_DATA' }));
});
