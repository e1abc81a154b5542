import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, expect, test } from 'vitest';
import { DirectState } from '../../../proto/gen/warren/chat/v1/direct.ts';
import { DirectStore } from '../../../services/chat/direct/store.ts';
import type { MemberId } from '../../../services/lib/identity/member-id.ts';
import type { SealingKeys } from '../../../services/lib/identity/sealing.ts';

const [ann, bob] = ['a', 'b'].map(digit => digit.repeat(64) as MemberId) as [MemberId, MemberId];
const now = 1_700_000_000_000;
const day = 86_400_000;
const { DIRECT_STATE_SENT: sent, DIRECT_STATE_DELIVERED: delivered, DIRECT_STATE_READ: read } = DirectState;
const { DIRECT_STATE_FAILED: failed, DIRECT_STATE_UNREAD: unread, DIRECT_STATE_WAITING: waiting } = DirectState;

let dir: string;
let store: DirectStore;

beforeEach(async () => {
  dir = join(await mkdtemp(join(tmpdir(), 'warren-test-')), 'chat');
  store = new DirectStore(dir);
  return async () => {
    store.close();
    await rm(join(dir, '..'), { recursive: true, force: true });
  };
});

/** As it comes from the disk. */
function plain({ publicKey, privateKey }: SealingKeys): SealingKeys {
  return { publicKey: new Uint8Array(publicKey), privateKey: new Uint8Array(privateKey) };
}

const id = (at: number): string => String(at).padStart(32, '0');

function came(at: number, sealingKey: Uint8Array) {
  const message = { id: id(at), peer: 'ann', isOwn: false, sender: ann, body: `no. ${at}`, atMs: now, state: unread };
  return store.messages.receive(message, sealingKey);
}

test('what came once is not taken again, also after the message has gone, for as long as its key is there', () => {
  const { publicKey } = store.keys.sealingKey(now);
  expect(came(1, publicKey)).toMatchObject({ number: 1, state: unread });
  expect(came(1, publicKey)).toBeUndefined();
  expect(store.messages.retain({ most: 0, olderThanMs: 0 })).toBe(1);
  expect(store.messages.page('ann', 10, 10)).toEqual([]);
  expect(came(1, publicKey)).toBeUndefined();
  expect(came(2, publicKey)).toMatchObject({ number: 2 });
});

test('a sealing key is replaced after a month, opens what comes late, and goes for good', () => {
  const first = plain(store.keys.sealingKey(now));
  expect(plain(store.keys.sealingKey(now + 29 * day))).toEqual(first);
  const second = plain(store.keys.sealingKey(now + 31 * day));
  expect(second.publicKey).not.toEqual(first.publicKey);
  expect(store.keys.privateKeyOf(first.publicKey)).toEqual(first.privateKey);
  store.keys.sealingKey(now + 47 * day);
  expect(store.keys.privateKeyOf(first.publicKey)).toBeUndefined();
  expect(store.keys.privateKeyOf(second.publicKey)).toEqual(second.privateKey);
});

test('a message of ours goes to each member, and is as far as the farthest of them says', () => {
  const message = store.messages.compose({ id: id(1), peer: 'bob', sender: ann, body: 'hello', atMs: now });
  expect(message).toMatchObject({ isOwn: true, state: waiting });
  expect(store.messages.unaddressed()).toEqual([message]);
  const other = 'c'.repeat(64) as MemberId;
  store.transaction(() => {
    store.outgoing.address(
      message.number,
      [bob, other].map(each => ({ id: each, account: 'bob' })),
      now,
    );
  });
  expect(store.messages.unaddressed()).toEqual([]);
  expect(store.outgoing.all().map(({ receiver }) => receiver)).toEqual([bob, other]);
  expect(store.messages.advance(message.number, sent)).toMatchObject({ state: sent });
  store.outgoing.delivered(bob, [id(1), id(7)]);
  expect(store.outgoing.all().map(({ receiver }) => receiver)).toEqual([other]);
  expect(store.messages.advance(message.number, read)).toMatchObject({ state: read });
  // Late words change nothing.
  expect(store.messages.advance(message.number, delivered)).toBeUndefined();
  expect(store.messages.advance(message.number, failed)).toBeUndefined();
});

test('conversations are told apart, with what is new in each', () => {
  const { publicKey } = store.keys.sealingKey(now);
  for (const at of [1, 2, 3]) came(at, publicKey);
  store.messages.compose({ id: id(4), peer: 'bob', sender: bob, body: 'to bob', atMs: now });
  expect(store.messages.conversations()).toMatchObject([
    { peer: 'bob', unread: 0, last: { body: 'to bob' } },
    { peer: 'ann', unread: 3, last: { body: 'no. 3' } },
  ]);
  expect(store.messages.readByIds([id(2), id(9)])).toMatchObject([{ id: id(2), state: read }]);
  expect(store.messages.readAll('ann').map(each => each.id)).toEqual([id(1), id(3)]);
  expect(store.messages.page('ann', 3, 10).map(({ body }) => body)).toEqual(['no. 1', 'no. 2']);
});

test('what is kept is there after the process, and is its owner’s alone', async () => {
  const { publicKey, privateKey } = plain(store.keys.sealingKey(now));
  came(1, publicKey);
  store.messages.compose({ id: id(2), peer: 'bob', sender: bob, body: 'x', atMs: now });
  store.keys.setMembers('bob', [{ id: bob, sealingKey: publicKey }], now);
  expect((await stat(join(dir, 'direct.db'))).mode & 0o777).toBe(0o600);
  store.close();
  store = new DirectStore(dir);
  expect(store.messages.unaddressed()).toHaveLength(1);
  expect(plain(store.keys.sealingKey(now + 1))).toEqual({ publicKey, privateKey });
  expect(store.keys.membersOf('bob')).toEqual([{ id: bob, sealingKey: publicKey, since: now }]);
  expect(came(1, publicKey)).toBeUndefined();
  // Without a key now: the one that is known stays.
  store.keys.setMembers('bob', [{ id: bob, sealingKey: undefined }], now + 5);
  expect(store.keys.membersOf('bob')).toEqual([{ id: bob, sealingKey: publicKey, since: now }]);
});
