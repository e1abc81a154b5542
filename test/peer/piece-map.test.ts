import fc from 'fast-check';
import { expect, test } from 'vitest';
import { PieceMap } from '../../services/peer/piece-map.ts';

const pieces = fc.integer({ min: 0, max: 300 });

test('a piece map survives being written and read, and is the set of what was added', () => {
  fc.assert(
    fc.property(pieces, fc.array(fc.integer({ min: -2, max: 310 })), (count, added) => {
      const map = new PieceMap(count);
      for (const piece of added) map.add(piece);
      const set = new Set(added.filter(piece => piece >= 0 && piece < count));
      const read = PieceMap.decode(count, map.encode());
      expect(read.count).toBe(set.size);
      expect(read.isComplete).toBe(set.size === count);
      const again = new PieceMap(count);
      for (const run of read.runs()) again.addRun(run);
      for (let piece = -2; piece < 310; piece++) {
        expect(read.has(piece)).toBe(set.has(piece));
        expect(again.has(piece)).toBe(set.has(piece));
      }
      for (const piece of set) read.delete(piece);
      expect(read.count).toBe(0);
    }),
  );
});

test('a piece map that is too short, too long, or has pieces that there are not is refused', () => {
  const refused = expect.objectContaining({ code: 'PEER_PIECE_MAP' });
  for (const bytes of [[], [0], [0, 0, 0], [0, 0x20], [0xff, 0xff]])
    expect(() => PieceMap.decode(10, Uint8Array.from(bytes))).toThrow(refused);
  expect(PieceMap.decode(10, Uint8Array.of(0xff, 0xc0)).isComplete).toBe(true);
  expect(() => PieceMap.decode(0, Uint8Array.of(0))).toThrow(refused);
  expect(PieceMap.full(10).encode()).toEqual(Uint8Array.of(0xff, 0xc0));
});

test('what is decoded or encoded is a copy', () => {
  const bytes = Uint8Array.of(0x80);
  const map = PieceMap.decode(8, bytes);
  bytes[0] = 0;
  map.encode()[0] = 0;
  expect(map.has(0)).toBe(true);
});
