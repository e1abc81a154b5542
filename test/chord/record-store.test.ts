import { describe, expect, test } from 'vitest';
import {
  maxLifeMs,
  maxProviderValue,
  maxValue,
  problemOfRecord,
  tombstoneLifeMs,
} from '../../services/chord/bounds.ts';
import { circle, type Identifier } from '../../services/chord/identifier.ts';
import { compare } from '../../services/chord/reconcile.ts';
import { isHigher, keyOfSlot, type RingRecord, signedOctets, slotOf } from '../../services/chord/record.ts';
import { RecordStore, storeBounds } from '../../services/chord/record-store.ts';
import { id } from './simulation/small-ring.ts';

const ann = 'a'.repeat(64);
const ben = 'b'.repeat(64);

function record(changes: Partial<RingRecord> = {}): RingRecord {
  return {
    ...{
      key: id(7),
      kind: 'value',
      writer: ann,
      counter: 1,
      value: new Uint8Array([1, 2]),
      lifeMs: 1_000,
      leftMs: 1_000,
    },
    ...{ publicKey: new Uint8Array(32), signature: new Uint8Array(64) },
    ...changes,
  };
}

describe('of the records for a slot', () => {
  test('the one with the higher counter wins, then the one of the higher writer, in any order', () => {
    const all = [record({ counter: 2 }), record({ counter: 3, writer: ann }), record({ counter: 3, writer: ben })];
    for (const order of [all, [...all].reverse(), [all[2], all[0], all[1]]]) {
      const store = new RecordStore();
      for (const each of order) store.put(each as RingRecord, 0);
      expect(store.of(id(7), 'value', 0)).toMatchObject([{ counter: 3, writer: ben }]);
    }
  });

  test('the same once more is superseded by itself', () => {
    const store = new RecordStore();
    expect(store.put(record(), 0).status).toBe('stored');
    expect(store.put(record(), 0).status).toBe('superseded');
    expect(isHigher({ counter: 1, writer: ann }, undefined)).toBe(true);
  });

  test('a removal is a version like any other', () => {
    const store = new RecordStore();
    store.put(record({ counter: 2, value: undefined }), 0);
    expect(store.put(record(), 0).status).toBe('superseded');
    expect(store.put(record({ counter: 3 }), 0).status).toBe('stored');
  });

  test('each writer has its own where a file’s providers are kept', () => {
    const store = new RecordStore();
    store.put(record({ kind: 'provider' }), 0);
    store.put(record({ kind: 'provider', writer: ben }), 0);
    store.put(record(), 0);
    expect(store.of(id(7), 'provider', 0).map(({ writer }) => writer)).toEqual([ann, ben]);
    expect(store.of(id(7), 'value', 0)).toHaveLength(1);
  });
});

describe('a record', () => {
  test('is gone when its life ends, and says until then what is left of it', () => {
    const store = new RecordStore();
    store.put(record({ leftMs: 600 }), 100);
    expect(store.get(slotOf(record()), 699)).toMatchObject({ leftMs: 1, lifeMs: 1_000 });
    expect(store.get(slotOf(record()), 700)).toBeUndefined();
    expect([store.size, store.octets]).toEqual([0, 0]);
  });

  test('is dropped with others when they have lived', () => {
    const store = new RecordStore();
    store.put(record(), 0);
    store.put(record({ key: id(8), leftMs: 2_000, lifeMs: 2_000 }), 0);
    store.expire(1_500);
    expect([store.size, store.octets]).toEqual([1, 2]);
  });

  test.each<[string, Partial<RingRecord>]>([
    ['a value that is too long', { value: new Uint8Array(maxValue + 1) }],
    ['a provider that says too much', { kind: 'provider', value: new Uint8Array(maxProviderValue + 1) }],
    ['a key off the circle', { key: circle as Identifier }],
    ['a key below it', { key: -1n as Identifier }],
    ['a writer that is none', { writer: 'ann' }],
    ['no counter', { counter: 0 }],
    ['a counter beyond counting', { counter: 2 ** 53 }],
    ['a counter with a fraction', { counter: 1.5 }],
    ['too long a life', { lifeMs: maxLifeMs + 1 }],
    ['a tombstone for too long', { value: undefined, lifeMs: tombstoneLifeMs + 1 }],
    ['more left than there was', { leftMs: 1_001 }],
    ['nothing left', { leftMs: 0 }],
    ['a long signature', { signature: new Uint8Array(129) }],
    ['a long key', { publicKey: new Uint8Array(129) }],
    ['a life that is no number', { leftMs: Number.NaN }],
  ])('with %s is not taken', (_, changes) => {
    expect(problemOfRecord(record())).toBeUndefined();
    expect(problemOfRecord(record(changes))).toBeTypeOf('string');
  });

  test('of the largest value is taken', () => {
    expect(problemOfRecord(record({ value: new Uint8Array(maxValue) }))).toBeUndefined();
  });

  test('is signed over everything that counts', () => {
    const base = record();
    const differing: Partial<RingRecord>[] = [
      ...[{ key: id(8) }, { kind: 'provider' as const }, { writer: ben }, { counter: 2 }, { lifeMs: 999 }],
      ...[{ value: new Uint8Array([1, 3]) }, { value: new Uint8Array() }, { value: undefined }],
    ];
    const texts = [base, ...differing.map(record)].map(each => Buffer.from(signedOctets(each)).toString('hex'));
    expect(new Set(texts).size).toBe(texts.length);
    expect(signedOctets(record({ leftMs: 1 }))).toEqual(signedOctets(base));
  });

  test.each([
    '',
    'v:',
    `v:${'0'.repeat(39)}`,
    `w:${'0'.repeat(40)}`,
    `p:${'0'.repeat(40)}`,
    `v:${'0'.repeat(40)}:${ann}`,
  ])('has no slot like %j', slot => {
    expect(keyOfSlot(slot)).toBeUndefined();
  });

  test('has a slot from which its key comes back', () => {
    expect(keyOfSlot(slotOf(record()))).toBe(7n);
    expect(keyOfSlot(slotOf(record({ kind: 'provider' })))).toBe(7n);
  });
});

describe('a node keeps no more', () => {
  const keep = (bounds: Partial<typeof storeBounds>, ...records: readonly Partial<RingRecord>[]): string[] => {
    const store = new RecordStore({ ...storeBounds, ...bounds });
    return records.map(each => store.put(record(each), 0).status);
  };

  test('records of one writer than it may, and takes new versions of those', () => {
    const own = { maxSlotsOfWriter: 2 };
    expect(keep(own, {}, { key: id(8) }, { key: id(9) }, { key: id(9), writer: ben }, { counter: 2 })).toEqual([
      ...['stored', 'stored', 'refused', 'stored', 'stored'],
    ]);
    // Nor by writing over another's.
    expect(keep(own, {}, { key: id(8) }, { key: id(9), writer: ben }, { key: id(9), counter: 2 }).at(-1)).toBe(
      'refused',
    );
  });

  test('providers of one file', () => {
    const file = { kind: 'provider' as const };
    const writers = Array.from({ length: 65 }, (_, at) => ({ ...file, writer: at.toString(16).padStart(64, '0') }));
    const statuses = keep({}, ...writers, { ...file, key: id(8), writer: ben });
    expect(statuses.slice(0, 64).every(status => status === 'stored')).toBe(true);
    expect(statuses.slice(64)).toEqual(['refused', 'stored']);
  });

  test('records, and octets, than it may in all', () => {
    expect(keep({ maxSlots: 1 }, {}, { key: id(8) }, { counter: 2 })).toEqual(['stored', 'refused', 'stored']);
    const long = { counter: 2, value: new Uint8Array(3) };
    expect(keep({ maxOctets: 4 }, {}, { key: id(8) }, { key: id(9) }, long)).toEqual([
      ...['stored', 'stored', 'refused', 'refused'],
    ]);
  });

  test('room is there again for a writer whose records have gone', () => {
    const store = new RecordStore({ ...storeBounds, maxSlotsOfWriter: 1 });
    store.put(record(), 0);
    store.expire(2_000);
    expect(store.put(record({ key: id(8) }), 2_000).status).toBe('stored');
  });
});

describe('what lies on an arc', () => {
  const store = new RecordStore();
  for (const key of [5, 10, 20, 30]) store.put(record({ key: id(key) }), 0);
  const on = (from: number, to: number): number[] => store.on(id(from), id(to), 0).map(({ key }) => Number(key));

  test('comes in order, around the end, without its beginning', () => {
    expect(on(5, 20)).toEqual([10, 20]);
    expect(on(20, 10)).toEqual([30, 5, 10]);
    expect(on(10, 10)).toEqual([20, 30, 5, 10]);
    expect(on(10, 15)).toEqual([]);
  });

  test('is compared by version, both ways', () => {
    const digest = (key: number, counter: number) => ({ slot: slotOf(record({ key: id(key) })), counter, writer: ann });
    const asked = { from: id(0), to: id(40), digests: [digest(5, 1), digest(10, 2), digest(35, 1)] };
    const { wanted, newer, isCut } = compare(store, asked, 0);
    expect(wanted).toEqual([digest(10, 2).slot, digest(35, 1).slot]);
    expect(newer).toEqual([digest(20, 1), digest(30, 1)]);
    expect(isCut).toBe(false);
  });

  test('is told in parts when it is too much for one answer', () => {
    const full = new RecordStore();
    for (let key = 1; key <= 600; key++) full.put(record({ key: id(key) }), 0);
    const { newer, isCut } = compare(full, { from: id(0), to: id(700), digests: [] }, 0);
    expect([newer.length, isCut]).toEqual([512, true]);
  });

  test('is not asked for by slots that are none', () => {
    const digests = [{ slot: 'v:x', counter: 1, writer: ann }];
    expect(compare(store, { from: id(0), to: id(1), digests }, 0).wanted).toEqual([]);
  });
});
