import fc from 'fast-check';
import { beforeEach, describe, expect, test } from 'vitest';
import { Announcement, IndexChanges } from '../../proto/gen/warren/directory/v1/announcement.ts';
import { SharedFile } from '../../proto/gen/warren/directory/v1/files.ts';
import type { Delivery } from '../../services/bus/bus.ts';
import { announcementOf, deltasOf, snapshotOf } from '../../services/directory/announcement.ts';
import { type Announcements, createAnnouncements } from '../../services/directory/announcements.ts';
import type { FileIndex } from '../../services/directory/file-index.ts';
import { createMemberKeys, type MemberKeys, signAs } from '../../services/lib/identity/keys.ts';
import { brokerAccountOf } from '../../services/lib/identity/member-id.ts';
import { fileOf, inconsistencies, indexInMemory, sharesIn } from './index-under-test.ts';

const ann = createMemberKeys();
const bob = createMemberKeys();
const context = 'warren.directory.v1.Announcement';
let made: ReturnType<typeof indexInMemory>;
let announcements: Announcements;
let warned: string[] = [];
let clock = 0;

beforeEach(() => {
  made = indexInMemory({ filesOfOne: 1_000, entriesOfOne: 1_000, entriesOfAll: 2_000 });
  warned = [];
  clock = 0;
  announcements = createAnnouncements({ index: made.index, clock: () => clock, warn: line => warned.push(line) });
});

function changesOf(fields: Partial<IndexChanges> = {}): IndexChanges {
  return { counter: 1, files: [fileOf('a')], removed: [], snapshot: undefined, ...fields };
}

/** As the broker hands it over. */
function delivered(keys: MemberKeys, changes: IndexChanges, other: Partial<Delivery> = {}): Delivery {
  const { type, key, body } = announcementOf(keys, changes);
  return {
    type,
    key,
    body: Buffer.from(body),
    messageId: 'id',
    correlationId: undefined,
    replyTo: undefined,
    userId: brokerAccountOf(keys.id),
    redelivered: false,
    traceparent: undefined,
    offset: undefined,
    ...other,
  };
}

/** Signed well, whatever is in it. */
function signed(keys: MemberKeys, changes: Uint8Array, other: Partial<Announcement> = {}): Partial<Delivery> {
  const signature = Buffer.from(signAs(keys, context, changes));
  const publicKey = Buffer.from(keys.publicKey);
  return {
    body: Buffer.from(Announcement.encode({ publicKey, changes: Buffer.from(changes), signature, ...other }).finish()),
  };
}

test('an announcement counts for whom it is of, and is on disk when it is acked', async () => {
  expect(await announcements.take(delivered(ann, changesOf()))).toBe('ack');
  expect(Object.keys(sharesIn(made.db, ann.id))).toEqual(['a']);
  expect(made.index.stateOf(bob.id)).toBeUndefined();
  expect(warned).toEqual([]);
});

describe('forged', () => {
  const bytes = IndexChanges.encode(changesOf()).finish();
  test.each<[string, Delivery]>([
    ['sent by nobody', delivered(ann, changesOf(), { userId: undefined })],
    ['sent by no member', delivered(ann, changesOf(), { userId: 'proxy' })],
    ['sent by another', delivered(ann, changesOf(), { userId: brokerAccountOf(bob.id) })],
    [
      'another’s, sent on under its own name',
      delivered(ann, changesOf(), { userId: brokerAccountOf(bob.id), key: bob.id }),
    ],
    ['with another’s routing key', delivered(ann, changesOf(), { key: bob.id })],
    ['with another’s key', delivered(ann, changesOf(), signed(ann, bytes, { publicKey: Buffer.from(bob.publicKey) }))],
    ['signed by another', delivered(ann, changesOf(), signed(bob, bytes, { publicKey: Buffer.from(ann.publicKey) }))],
    [
      'signed for another purpose',
      delivered(ann, changesOf(), signed(ann, bytes, { signature: Buffer.from(signAs(ann, 'x', bytes)) })),
    ],
    ['without a signature', delivered(ann, changesOf(), signed(ann, bytes, { signature: Buffer.alloc(0) }))],
    ['without a key', delivered(ann, changesOf(), signed(ann, bytes, { publicKey: Buffer.alloc(0) }))],
    [
      'changed on its way',
      delivered(
        ann,
        changesOf(),
        signed(ann, bytes, { changes: Buffer.from(IndexChanges.encode(changesOf({ counter: 2 })).finish()) }),
      ),
    ],
  ])('%s it changes nothing', async (_, delivery) => {
    expect(await announcements.take(delivery)).toBe('dead');
    for (const { id } of [ann, bob]) expect(made.index.stateOf(id)).toBeUndefined();
    expect([...announcements.refused]).toEqual([['ANNOUNCEMENT_FORGED', 1]]);
    expect(warned).toEqual([
      expect.stringMatching(/^dropped an announcement of ".*": it[^\n]+ \(ANNOUNCEMENT_FORGED\)$/),
    ]);
  });
});

describe('malformed', () => {
  const file = fileOf('a');
  test.each<[string, Partial<IndexChanges>, RegExp]>([
    ['no counter', { counter: 0 }, /^counter: must be at least 1/],
    ['an empty name', { files: [{ ...file, name: '' }] }, /^files.0.name: must not be empty/],
    ['a name with a NUL', { files: [{ ...file, name: 'a\0b' }] }, /^files.0.name: must be a path/],
    ['a name that leaves the share', { files: [{ ...file, name: '../a' }] }, /path in the share/],
    ['a name that leaves it on the way', { files: [{ ...file, name: 'a/../../b' }] }, /path in the share/],
    ['an absolute name', { files: [{ ...file, name: '/etc/passwd' }] }, /path in the share/],
    ['a name of a folder', { files: [{ ...file, name: 'a/' }] }, /path in the share/],
    ['a long name', { files: [{ ...file, name: 'ä'.repeat(513) }] }, /1024 bytes/],
    ['an id that is none', { files: [{ ...file, id: 'A'.repeat(64) }] }, /^files.0.id: must be 64/],
    ['a name twice', { files: [file, { ...file, size: 1 }] }, /no name may come twice/],
    ['a name there and gone', { removed: ['a'] }, /no name may come twice/],
    ['more changes than 1,000', { removed: Array.from({ length: 1_000 }, (_, i) => `f${i}`) }, /at most 1000 changes/],
    ['a part that is none of its snapshot', { snapshot: { part: 2, parts: 2 } }, /part must be less/],
    ['a snapshot of no parts', { snapshot: { part: 0, parts: 0 } }, /^snapshot.parts/],
    ['a snapshot of too many parts', { snapshot: { part: 0, parts: 1_001 } }, /^snapshot.parts/],
    ['a snapshot that removes', { removed: ['b'], snapshot: { part: 0, parts: 1 } }, /a snapshot removes nothing/],
  ])('with %s it is refused whole, and its sender can find out why', async (_, wrong, reason) => {
    await announcements.take(delivered(bob, changesOf({ files: [fileOf('kept')] })));
    expect(await announcements.take(delivered(bob, changesOf({ counter: 2, ...wrong })))).toBe('dead');
    expect(Object.keys(sharesIn(made.db, bob.id))).toEqual(['kept']);
    const { refused } = made.index.stateOf(bob.id) ?? {};
    expect(refused).toMatch(reason);
    expect(refused).not.toMatch(/\n|passwd/);
    expect([...announcements.refused]).toEqual([['ANNOUNCEMENT_BYTES', 1]]);
  });

  test.each<[string, Partial<Delivery>]>([
    ['no announcement', { type: 'warren.demo.v1.Post' }],
    // Good, with a field that nobody knows.
    [
      'over 1 MiB',
      signed(
        ann,
        Buffer.concat([
          IndexChanges.encode(changesOf()).finish(),
          Buffer.from('7a808040', 'hex'),
          Buffer.alloc(1024 * 1024),
        ]),
      ),
    ],
    ['no bytes of one', { body: Buffer.from([0xff, 0xff]) }],
    ['signed nonsense', signed(ann, Buffer.from([0x0a, 0x7f, 1]))],
    // 2^53, which no number holds exactly.
    ['a counter out of all measure', signed(ann, Buffer.from('088080808080808010', 'hex'))],
  ])('or %s, it is dropped', async (_, other) => {
    expect(await announcements.take(delivered(ann, changesOf(), other))).toBe('dead');
    expect(sharesIn(made.db, ann.id)).toEqual({});
  });
});

test('names that file systems allow are taken as they are', async () => {
  const odd = [
    'new\nline',
    '\u001b[31mred',
    'con',
    'é',
    'e\u0301',
    '..a',
    'a/...',
    ' ',
    '%2e%2e',
    'a\\..\\b',
    '😀/x',
    "'; DROP TABLE names",
  ];
  expect(await announcements.take(delivered(ann, changesOf({ files: odd.map(name => fileOf(name)) })))).toBe('ack');
  expect(Object.keys(sharesIn(made.db, ann.id)).sort()).toEqual([...odd].sort());
});

test('what has no room is dropped, and the member can find out', async () => {
  const files = Array.from({ length: 1_000 }, (_, i) => fileOf(`f${i}`));
  expect(await announcements.take(delivered(ann, changesOf({ files })))).toBe('ack');
  expect(await announcements.take(delivered(ann, changesOf({ counter: 2, files: [fileOf('more')] })))).toBe('dead');
  expect(made.index.stateOf(ann.id)).toEqual({ counter: 1, files: 1_000, refused: 'a peer may share 1000 files' });
  expect([...announcements.refused]).toEqual([['DIRECTORY_INDEX_FULL', 1]]);
});

test('a sender that goes on is told of once a minute, and hides nobody else', async () => {
  const forged = () => delivered(ann, changesOf(), { key: bob.id });
  for (let i = 0; i < 5; i++) await announcements.take(forged());
  await announcements.take(delivered(ann, changesOf(), { userId: 'x\ny' }));
  expect(warned).toHaveLength(2);
  expect(warned.join()).not.toContain('\n');
  clock = 60_000;
  await announcements.take(forged());
  expect(warned).toHaveLength(3);
  expect(announcements.refused.get('ANNOUNCEMENT_FORGED')).toBe(7);
});

test('what was said by a member that is no more is dropped', async () => {
  const strict = createAnnouncements({
    index: made.index,
    clock: () => 0,
    warn: () => {},
    isMember: id => id === bob.id,
  });
  expect(await strict.take(delivered(ann, changesOf()))).toBe('dead');
  expect(await strict.take(delivered(bob, changesOf()))).toBe('ack');
  expect(made.index.stateOf(ann.id)).toBeUndefined();
});

test('what cannot be kept just now comes again', async () => {
  made.db.close();
  expect(await announcements.take(delivered(ann, changesOf()))).toBe('requeue');
  expect(warned).toEqual([expect.stringMatching(/^cannot keep an announcement, will try again: /)]);
});

test('any bytes, and any change of a good announcement, are taken or dropped, and never break the index', async () => {
  const good = delivered(ann, changesOf({ files: [fileOf('a'), fileOf('b/c', 2)], removed: ['d'] }));
  await fc.assert(
    fc.asyncProperty(
      fc.oneof(
        fc.uint8Array({ maxLength: 300 }).map(bytes => ({ body: Buffer.from(bytes) })),
        fc.uint8Array({ maxLength: 300 }).map(bytes => signed(ann, bytes)),
        fc.tuple(fc.nat(), fc.nat(255)).map(([at, byte]) => {
          const body = Buffer.from(good.body);
          body[at % body.length] = byte;
          return { body };
        }),
        fc.tuple(fc.nat(), fc.nat(255)).map(([at, byte]) => {
          const bytes = Buffer.from(IndexChanges.encode(changesOf({ counter: 3, files: [fileOf('z')] })).finish());
          bytes[at % bytes.length] = byte;
          return signed(ann, bytes);
        }),
        fc.nat().map(length => ({ body: good.body.subarray(0, length % good.body.length) })),
      ),
      async other => {
        expect(await announcements.take({ ...good, ...other })).toMatch(/^(?:ack|dead)$/);
        expect(inconsistencies(made.db)).toEqual([]);
      },
    ),
    { numRuns: 500 },
  );
});

describe('what a member has to say', () => {
  const sizeOf = (changes: IndexChanges): number => announcementOf(ann, changes).body.byteLength;
  const files = Array.from({ length: 2_500 }, (_, i) => fileOf(`${i}/${'ö'.repeat(i % 500)}`));

  test('of all its files goes in parts of one counter, which together are all', async () => {
    const parts = snapshotOf(7, files);
    expect(new Set(parts.map(({ counter }) => counter))).toEqual(new Set([7]));
    for (const changes of parts) {
      expect(changes.files.length).toBeLessThanOrEqual(1_000);
      expect(sizeOf(changes)).toBeLessThanOrEqual(1024 * 1024);
    }
    expect(parts.flatMap(changes => changes.files)).toEqual(files);
    expect(snapshotOf(7, [])).toEqual([{ counter: 7, files: [], removed: [], snapshot: { part: 0, parts: 1 } }]);
  });

  test('of the longest names stays within 1 MiB', () => {
    const long = Array.from({ length: 1_000 }, (_, i) => fileOf(`${i}`.padEnd(1_024, 'x'), i, Number.MAX_SAFE_INTEGER));
    const parts = snapshotOf(1, long);
    expect(parts.length).toBe(2);
    for (const changes of parts) expect(sizeOf(changes)).toBeLessThanOrEqual(1024 * 1024);
  });

  test('of changes goes in as many as it takes, each with a counter of its own', () => {
    let counter = 0;
    const removed = Array.from({ length: 1_200 }, (_, i) => `gone ${i}`);
    const deltas = deltasOf(() => ++counter, { files, removed });
    expect(deltas.map(changes => changes.counter)).toEqual([1, 2, 3, 4]);
    expect(deltas.flatMap(changes => changes.removed)).toEqual(removed);
    expect(deltas.flatMap(changes => changes.files)).toEqual(files);
    expect(deltasOf(() => 1, { files: [], removed: [] })).toEqual([]);
    expect(SharedFile.encode(fileOf('a')).finish().length).toBeGreaterThan(64);
  });
});

test('a disk that is full is told of once, not with each announcement that comes again', async () => {
  let isFull = true;
  const index = {
    apply: () => {
      if (isFull) throw new Error('database or disk is full');
    },
  } as unknown as FileIndex;
  const { take } = createAnnouncements({ index, clock: () => clock, warn: line => warned.push(line) });
  for (let times = 0; times < 2; times++) expect(await take(delivered(ann, changesOf()))).toBe('requeue');
  expect(warned).toEqual(['cannot keep an announcement, will try again: database or disk is full']);
  isFull = false;
  expect(await take(delivered(ann, changesOf()))).toBe('ack');
});
