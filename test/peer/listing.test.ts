import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decodeListing, encodeListing, type ListingEntry } from '../../services/peer/listing.ts';
import type { ContentId } from '../../services/peer/merkle.ts';
import { refusalOfName } from '../../services/peer/share-path.ts';

const entry = fc.record({
  kind: fc.constantFrom('file' as const, 'folder' as const),
  name: fc
    .oneof(fc.string({ unit: 'grapheme', minLength: 1 }), fc.string({ minLength: 1 }))
    .filter(name => refusalOfName(name, 'posix') === undefined),
  size: fc.integer({ min: 0, max: 2 ** 40 }),
  id: fc.uint8Array({ minLength: 32, maxLength: 32 }).map(bytes => Buffer.from(bytes).toString('hex') as ContentId),
});
const entries = fc.uniqueArray(entry, { selector: ({ name }) => name });
const refused = expect.objectContaining({ code: 'PEER_LISTING' });

describe('a listing', () => {
  test('is the same in whatever order, and gives back what went in', () => {
    fc.assert(
      fc.property(entries, list => {
        const bytes = encodeListing(list);
        expect(encodeListing([...list].reverse())).toEqual(bytes);
        const read = decodeListing(bytes);
        expect(new Set(read.map(each => JSON.stringify(each)))).toEqual(
          new Set(list.map(({ kind, name, size, id }) => JSON.stringify({ kind, name, size, id }))),
        );
        expect(encodeListing(read)).toEqual(bytes);
      }),
    );
  });

  test('has one form only: what is not it is refused', () => {
    fc.assert(
      fc.property(entries, fc.uint8Array({ maxLength: 200 }), fc.nat(), fc.nat(), (list, noise, at, bit) => {
        const bytes = encodeListing(list);
        if (bytes.length > 0) bytes[at % bytes.length] = (bytes[at % bytes.length] ?? 0) ^ (1 << (bit % 8));
        for (const each of [bytes, noise, bytes.subarray(1)]) {
          try {
            expect(encodeListing(decodeListing(each))).toEqual(each);
          } catch (error) {
            expect(error).toEqual(refused);
          }
        }
      }),
    );
  });

  test.each(['..', '.', 'a/b', 'a\\b', '/etc', '.warren', 'a\nb'])('that names %j is refused', name => {
    const id = '0'.repeat(64) as ContentId;
    const bad: ListingEntry = { kind: 'file', name, size: 0, id };
    expect(() => decodeListing(encodeListing([bad]))).toThrow(refused);
  });

  test('that names something twice is refused', () => {
    const bytes = encodeListing([{ kind: 'file', name: 'a', size: 0, id: '0'.repeat(64) as ContentId }]);
    expect(() => decodeListing(Buffer.concat([bytes, bytes]))).toThrow(refused);
  });
});
