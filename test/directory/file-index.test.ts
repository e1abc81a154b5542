import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { SharedFile } from '../../proto/gen/warren/directory/v1/files.ts';
import type { Changes } from '../../services/directory/file-index.ts';
import { fileOf, inconsistencies, indexInMemory, sharesIn } from './index-under-test.ts';

const me = 'a'.repeat(64);
const limits = { filesOfOne: 5, entriesOfOne: 8, entriesOfAll: 12 };

function delta(counter: number, files: SharedFile[], removed: string[] = []): Changes {
  return { counter, files, removed };
}

function part(counter: number, files: SharedFile[], at = 0, parts = 1): Changes {
  return { counter, files, removed: [], snapshot: { part: at, parts } };
}

type Step =
  | { kind: 'put'; names: string[]; content: number }
  | { kind: 'remove'; names: string[] }
  | { kind: 'snapshot'; parts: number };

const names = fc.uniqueArray(fc.constantFrom('a', 'b', 'c/d', 'e.txt', 'f'), { minLength: 1, maxLength: 4 });
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ kind: fc.constant('put' as const), names, content: fc.nat(3) }),
  fc.record({ kind: fc.constant('remove' as const), names }),
  fc.record({ kind: fc.constant('snapshot' as const), parts: fc.integer({ min: 1, max: 3 }) }),
);

/** What a member that does these steps announces, and what it shares at the end. */
function history(steps: readonly Step[]): { announced: Changes[]; shared: Map<string, SharedFile> } {
  const shared = new Map<string, SharedFile>();
  const announced = steps.flatMap((each, at) => {
    const counter = 2 * at + 1;
    if (each.kind === 'put') {
      const files = each.names.map(name => fileOf(name, each.content, each.content));
      for (const file of files) shared.set(file.name, file);
      return delta(counter, files);
    }
    if (each.kind === 'remove') {
      for (const name of each.names) shared.delete(name);
      return delta(counter, [], each.names);
    }
    return Array.from({ length: each.parts }, (_, of) =>
      part(
        counter,
        [...shared.values()].filter((_, nth) => nth % each.parts === of),
        of,
        each.parts,
      ),
    );
  });
  return { announced, shared };
}

describe('a history of announcements', () => {
  test('in any order, with any of them doubled, ends in what the member shares', () => {
    const { db, index } = indexInMemory();
    const disordered = fc.array(step, { maxLength: 12 }).chain(steps => {
      const { announced, shared } = history(steps);
      const doubled = fc.subarray(announced).map(again => [...announced, ...again]);
      return doubled
        .chain(all => fc.shuffledSubarray(all, { minLength: all.length }))
        .map(order => ({ order, shared }));
    });
    fc.assert(
      fc.property(disordered, ({ order, shared }) => {
        index.forget(me);
        for (const changes of order) index.apply(me, changes);
        const truth = [...shared.values()].map(({ id, name, size, modifiedMs }) => [
          name,
          `${id} ${size} ${modifiedMs}`,
        ]);
        expect(sharesIn(db, me)).toEqual(Object.fromEntries(truth.sort()));
        expect(inconsistencies(db)).toEqual([]);
      }),
      { numRuns: 1_000 },
    );
  });

  test('leaves nothing behind a snapshot but what is in it, and takes nothing older', () => {
    const { db, index } = indexInMemory();
    index.apply(me, delta(1, [fileOf('a'), fileOf('b')]));
    index.apply(me, delta(2, [], ['c']));
    index.apply(me, part(3, [fileOf('b')]));
    expect(db.prepare('SELECT path FROM entries').all()).toMatchObject([{ path: 'b' }]);
    expect(index.apply(me, delta(2, [fileOf('z')]))).toEqual({ counter: 3, files: 1, refused: '' });
    expect(Object.keys(sharesIn(db, me))).toEqual(['b']);
  });

  test('keeps what was there until all parts of a snapshot are', () => {
    const { db, index } = indexInMemory();
    index.apply(me, delta(1, [fileOf('old')]));
    index.apply(me, part(2, [fileOf('x')], 1, 2));
    expect(Object.keys(sharesIn(db, me))).toEqual(['old', 'x']);
    index.apply(me, part(2, [fileOf('y')], 0, 2));
    expect(Object.keys(sharesIn(db, me))).toEqual(['x', 'y']);
  });

  test('with a snapshot that contradicts itself is refused there', () => {
    const { index } = indexInMemory();
    index.apply(me, part(2, [fileOf('x')], 1, 2));
    expect(() => index.apply(me, part(2, [], 0, 3))).toThrow(expect.objectContaining({ code: 'DIRECTORY_SNAPSHOT' }));
  });

  test('of which many snapshots are never whole takes no more room for it than for eight', () => {
    const { db, index } = indexInMemory();
    for (let counter = 1; counter < 30; counter++) index.apply(me, part(counter, [], 0, 1_000));
    expect(db.prepare('SELECT count(*) AS count FROM snapshots').get()).toMatchObject({ count: 8 });
  });
});

describe('limits', () => {
  const many = (count: number, prefix = 'f') => Array.from({ length: count }, (_, i) => fileOf(`${prefix}${i}`));

  test('refuse what is too much of one peer, all of it, and keep what was', () => {
    const { db, index } = indexInMemory(limits);
    index.apply(me, delta(1, many(5)));
    expect(() => index.apply(me, delta(2, [fileOf('x')], ['f0', 'y']))).not.toThrow();
    expect(() => index.apply(me, delta(3, [fileOf('z')]))).toThrow(
      expect.objectContaining({
        status: 'RESOURCE_EXHAUSTED',
        code: 'DIRECTORY_INDEX_FULL',
        message: 'a peer may share 5 files',
      }),
    );
    expect(index.stateOf(me)).toMatchObject({ counter: 2, files: 5 });
    expect(Object.keys(sharesIn(db, me))).not.toContain('z');
  });

  test('count names that were removed, until a snapshot', () => {
    const { index } = indexInMemory(limits);
    index.apply(me, delta(1, [], ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h']));
    expect(() => index.apply(me, delta(2, [fileOf('z')]))).toThrow(/8 names, with those removed/);
    index.apply(me, part(3, many(5)));
    expect(index.stateOf(me)).toEqual({ counter: 3, files: 5, refused: '' });
  });

  test('let a member say all anew, even if it shares as much as it may', () => {
    const { index } = indexInMemory({ ...limits, entriesOfOne: 10 });
    index.apply(me, part(1, many(5)));
    index.apply(me, part(2, many(3, 'g'), 0, 2));
    index.apply(me, part(2, many(2, 'h'), 1, 2));
    expect(index.stateOf(me)).toEqual({ counter: 2, files: 5, refused: '' });
  });

  test('are for all peers together, too; who says less is always heard', () => {
    const { index } = indexInMemory(limits);
    for (const peer of ['p', 'q']) index.apply(peer, delta(1, many(5)));
    index.apply(me, delta(1, many(2)));
    expect(() => index.apply(me, delta(2, [fileOf('z')]))).toThrow(/12 names in all/);
    index.apply(me, delta(2, [], ['f0']));
    index.forget('p');
    index.apply(me, delta(3, [fileOf('z')]));
  });

  test('that were met are remembered for the peer until its next snapshot', () => {
    const { index } = indexInMemory(limits);
    index.refuse(me, 'a peer may share 5 files');
    expect(index.stateOf(me)).toEqual({ counter: 0, files: 0, refused: 'a peer may share 5 files' });
    index.apply(me, delta(1, many(1)));
    expect(index.stateOf(me)).toMatchObject({ refused: 'a peer may share 5 files' });
    index.apply(me, part(2, []));
    expect(index.stateOf(me)).toMatchObject({ refused: '' });
  });
});

test('equal content under several names, and equal names of several contents, are told apart and go one by one', () => {
  const { db, index, catalogue } = indexInMemory();
  index.apply(me, delta(1, [fileOf('a/one.txt', 1), fileOf('b/one.txt', 2), fileOf('two.txt', 1)]));
  index.apply('other', delta(1, [fileOf('a/one.txt', 1)]));
  expect(catalogue.withName('one.txt').map(({ file }) => file.name)).toEqual(
    expect.arrayContaining(['a/one.txt', 'a/one.txt', 'b/one.txt']),
  );
  expect(
    catalogue
      .withId(fileOf('', 1).id)
      .map(({ peerId }) => peerId)
      .sort(),
  ).toEqual([me, 'other']);
  expect(catalogue.describe(fileOf('', 1).id)).toEqual({
    size: 10,
    type: 'txt',
    names: ['a/one.txt', 'two.txt'],
    holders: 2,
  });
  index.forget(me);
  expect(catalogue.withName('one.txt')).toHaveLength(1);
  expect(inconsistencies(db)).toEqual([]);
  index.forget('other');
  expect(db.prepare('SELECT count(*) AS count FROM files').get()).toMatchObject({ count: 0 });
});
