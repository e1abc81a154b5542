import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { FileCatalogue } from '../../services/directory/file-catalogue.ts';
import { typeOf } from '../../services/directory/shared-file.ts';
import { matchOf } from '../../services/lib/search-words.ts';
import { fileOf, idOf, indexInMemory } from './index-under-test.ts';

const me = 'a'.repeat(64);
const wanted = { q: '', type: '', minSize: 0, maxSize: 0, offset: 0, limit: 50 };

/** A catalogue of these files, in which names are looked for. */
function catalogueOf(...files: ReturnType<typeof fileOf>[]) {
  const made = indexInMemory();
  made.index.apply(me, { counter: 1, files, removed: [] });
  const names = (more: Partial<typeof wanted>): string[] =>
    made.catalogue.search({ ...wanted, ...more }).hits.map(({ name }) => name);
  return { ...made, names };
}

describe('words', () => {
  const { names } = catalogueOf(
    ...[
      'Holiday/Sea_01.jpg',
      'holiday/sea-02.JPG',
      'Übergröße.txt',
      'notes 2024.txt',
      'AND or NOT.txt',
      'ünïcode/日本語.md',
    ].map(name => fileOf(name)),
  );

  test.each<[string, string[]]>([
    ['holiday', ['Holiday/Sea_01.jpg', 'holiday/sea-02.JPG']],
    ['SEA holiday', ['Holiday/Sea_01.jpg', 'holiday/sea-02.JPG']],
    ['sea 02', ['holiday/sea-02.JPG']],
    ['holi', []],
    ['holi*', ['Holiday/Sea_01.jpg', 'holiday/sea-02.JPG']],
    ['ho* 01', ['Holiday/Sea_01.jpg']],
    ['ubergroße', ['Übergröße.txt']],
    ['sea-02.jpg', ['holiday/sea-02.JPG']],
    ['日本*', ['ünïcode/日本語.md']],
    ['unicode', ['ünïcode/日本語.md']],
    ['notes -- 2024', ['notes 2024.txt']],
    ['AND', ['AND or NOT.txt']],
    ['NOT or', ['AND or NOT.txt']],
    ['path:notes', []],
    ['notes OR holiday', []],
    ['--', []],
    ['*', []],
    ['"', []],
    ['"notes', ['notes 2024.txt']],
    ['^notes', ['notes 2024.txt']],
    ['notes + 2024', ['notes 2024.txt']],
    ['NEAR(notes 2024)', []],
    ['{path} : notes', []],
    ["notes'); DROP TABLE names; --", []],
    ['notes\0 2024', ['notes 2024.txt']],
  ])('%j finds %j', (q, found) => {
    expect(names({ q })).toEqual(found);
  });

  test('of any kind are harmless', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 256 }), q => {
        expect(() => names({ q })).not.toThrow();
      }),
      { numRuns: 1_000 },
    );
    fc.assert(
      fc.property(
        fc.array(
          fc.constantFrom('"', '*', '(', ')', ':', '^', '+', '-', '{', '}', ' ', '\\', 'AND', 'NEAR/2', 'a', '\0', 'é'),
        ),
        parts => void names({ q: parts.join('') }),
      ),
      { numRuns: 1_000 },
    );
  });

  test('are sixteen at most', () => {
    expect(matchOf(Array(20).fill('a').join(' '))).toBe(Array(16).fill('"a"').join(' '));
  });
});

describe('filters', () => {
  const { names } = catalogueOf(
    fileOf('a.pdf', 1, 0),
    fileOf('b.pdf', 2, 10),
    fileOf('c.txt', 3, 20),
    fileOf('d', 4, 30),
  );

  test('are by type and size, with words or without', () => {
    expect(names({ type: 'pdf' })).toEqual(['a.pdf', 'b.pdf']);
    expect(names({ type: 'pdf', q: 'b' })).toEqual(['b.pdf']);
    expect(names({ minSize: 10, maxSize: 20 })).toEqual(['b.pdf', 'c.txt']);
    expect(names({ minSize: 10 })).toEqual(['b.pdf', 'c.txt', 'd']);
    expect(names({ type: 'txt', maxSize: 10 })).toEqual([]);
    expect(names({})).toHaveLength(4);
  });

  test.each([
    ['a.pdf', 'pdf'],
    ['x/A.PDF', 'pdf'],
    ['a.tar.gz', 'gz'],
    ['.bashrc', ''],
    ['a', ''],
    ['a.', ''],
    ['a.b/c', ''],
    ['a.b c', ''],
    [`a.${'x'.repeat(17)}`, ''],
  ])('%s is of type %j', (name, type) => expect(typeOf(name)).toBe(type));
});

test('the closest comes first, then what more members downloaded, whatever else it is called', () => {
  const { db, names } = catalogueOf(
    fileOf('x/song.mp3', 1),
    fileOf('song.mp3 notes', 2),
    fileOf('best song.mp3', 3),
    fileOf('a song.mp3', 4),
  );
  const count = db.prepare('UPDATE names SET downloads = ? WHERE file = (SELECT id FROM files WHERE root = ?)');
  count.run(5, Buffer.from(idOf(3), 'hex'));
  expect(names({ q: 'song.mp3' })).toEqual(['x/song.mp3', 'best song.mp3', 'a song.mp3', 'song.mp3 notes']);
});

test('pages follow each other without gap or repeat, and too broad a search says so', () => {
  const { db, catalogue, names } = catalogueOf(
    ...Array.from({ length: 120 }, (_, i) => fileOf(`f ${String(i).padStart(3, '0')}`)),
  );
  const pages = [0, 50, 100].map(offset => names({ q: 'f', offset }));
  expect(pages.map(page => page.length)).toEqual([50, 50, 20]);
  expect(pages.flat()).toEqual(names({ q: 'f', limit: 200 }));
  const of = (offset: number) => catalogue.search({ ...wanted, q: 'f', offset });
  expect([of(0).hasMore, of(100).hasMore, of(0).isCut]).toEqual([true, false, false]);
  const narrow = new FileCatalogue(db, 100);
  expect(narrow.search({ ...wanted, q: 'f', limit: 200 })).toMatchObject({ isCut: true, hasMore: false });
  expect(narrow.search({ ...wanted, q: 'f 11*' }).isCut).toBe(false);
});
