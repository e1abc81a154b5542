import { createHash, randomInt } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import {
  bytesOfHex,
  type ContentId,
  checkHead,
  checkPart,
  contentIdOf,
  hashBytes,
  hexOf,
  leafOf,
  type ManifestHead,
  partPieces,
  partRootsOf,
  pieceBytes,
  pieceCount,
  pieceLength,
} from '../../services/peer/merkle.ts';
import { sha256 } from '../../services/peer/sha256.ts';
import { seededRandom } from '../support/seeded.ts';

const hashOf = (...parts: Uint8Array[]): Buffer => {
  const hashing = createHash('sha256');
  for (const part of parts) hashing.update(part);
  return hashing.digest();
};

/** MTH of RFC 6962 §2.1, as the text has it, over leaves that are hashed already. */
function treeHash(leaves: readonly Uint8Array[]): Uint8Array {
  const [only] = leaves;
  if (only === undefined) return hashOf();
  if (leaves.length === 1) return only;
  let k = 1;
  while (k * 2 < leaves.length) k *= 2;
  return hashOf(Uint8Array.of(1), treeHash(leaves.slice(0, k)), treeHash(leaves.slice(k)));
}

function patterned(length: number): Buffer {
  return Buffer.from(Uint8Array.from({ length }, (_, at) => at % 251));
}

function leavesOf(content: Buffer): Buffer {
  const pieces = pieceCount(content.length);
  return Buffer.concat(
    Array.from({ length: pieces }, (_, piece) =>
      leafOf(sha256, content.subarray(piece * pieceBytes, (piece + 1) * pieceBytes)),
    ),
  );
}

function headOf(length: number, leaves: Uint8Array, kind: 'file' | 'folder' = 'file'): ManifestHead {
  return { kind, length, partRoots: partRootsOf(sha256, leaves) };
}

function randomLeaves(pieces: number, random: () => number): Uint8Array {
  return Uint8Array.from({ length: pieces * hashBytes }, () => Math.floor(random() * 256));
}

describe('a file’s id', () => {
  // From the definition in merkle.ts by an independent program (Python's hashlib); content: bytes 0, 1, … 250, 0, 1, …
  test.each([
    [0, 'f0c1e0b4cd1983b9c92909f8145cc102993e4c797489c0ba98639fd93056b82f'],
    [1, 'ee8acb9cb20eaf4b807ef586e552774d803cc3dd837bf26e9f509500cc2604bd'],
    [pieceBytes, '40efa1031d506bb2134825bb62b04d0790500eebef896ef18cb6326dffb29526'],
    [pieceBytes + 1, 'abeb509e284d23422e12acfe9468c0123e36eafb10115c7ec66f3bbd88cb0446'],
    [5 * pieceBytes - 7, '27182a12db4f887c1f378351721a74b5df02669e6c097dd227a83ee28d837a30'],
  ])('of %i bytes is the known one', (length, id) => {
    const content = patterned(length);
    expect(contentIdOf(sha256, headOf(length, leavesOf(content)))).toBe(id);
  });

  test('has the tree of RFC 6962 for any number of pieces, also over the bounds of parts', () => {
    const seed = randomInt(2 ** 31);
    const random = seededRandom(seed);
    const counts = [0, 1, 2, 3, 4, 5, 7, 8, 9, partPieces - 1, partPieces, partPieces + 1, 2 * partPieces + 3];
    for (const pieces of [...counts, ...Array.from({ length: 4 }, () => Math.floor(random() * 20_000))]) {
      const leaves = randomLeaves(pieces, random);
      const each = Array.from({ length: pieces }, (_, at) => leaves.subarray(at * hashBytes, (at + 1) * hashBytes));
      const length = pieces * pieceBytes;
      const bound = Buffer.alloc(9, 0);
      bound[0] = 2;
      bound.writeBigUInt64BE(BigInt(length), 1);
      const expected = hashOf(bound, treeHash(each)).toString('hex');
      expect(contentIdOf(sha256, headOf(length, leaves)), `seed ${seed}, ${pieces} pieces`).toBe(expected);
    }
  });

  test('differs for a file and a folder, for another length, and for a leaf that is given as a node', () => {
    const leaves = randomLeaves(2, seededRandom(1));
    const ids = [
      contentIdOf(sha256, headOf(2 * pieceBytes, leaves)),
      contentIdOf(sha256, headOf(2 * pieceBytes - 1, leaves)),
      contentIdOf(sha256, headOf(2 * pieceBytes, leaves, 'folder')),
    ];
    expect(new Set(ids).size).toBe(3);
    // What two leaves hash to is no leaf of any piece.
    expect(hexOf(leafOf(sha256, leaves))).not.toBe(hexOf(partRootsOf(sha256, leaves)));
  });
});

describe('a manifest', () => {
  const length = (partPieces + 5) * pieceBytes - 3;
  const leaves = randomLeaves(partPieces + 5, seededRandom(7));
  const head = headOf(length, leaves);
  const id = contentIdOf(sha256, head);
  const other = '0'.repeat(64) as ContentId;
  const partOf = (part: number): Uint8Array =>
    leaves.slice(part * partPieces * hashBytes, (part + 1) * partPieces * hashBytes);

  test('is taken part by part', () => {
    checkHead(sha256, id, head);
    for (const part of [0, 1]) checkPart(sha256, head, part, partOf(part));
  });

  test('is refused when it is another one, too long, cut, or longer than said', () => {
    const refused = { code: 'PEER_MANIFEST' };
    expect(() => checkHead(sha256, other, head)).toThrow(expect.objectContaining(refused));
    for (const wrong of [-1, 0.5, Number.NaN, 2 ** 40 + 1, length + 1, length - 2 ** 33])
      expect(() => checkHead(sha256, id, { ...head, length: wrong })).toThrow(expect.objectContaining(refused));
    expect(() => checkHead(sha256, id, { ...head, kind: 'folder' })).toThrow(expect.objectContaining(refused));
    const cut = { ...head, partRoots: head.partRoots.subarray(1) };
    expect(() => checkHead(sha256, id, cut)).toThrow(expect.objectContaining(refused));
    for (const [part, bytes] of [
      [0, partOf(1)],
      [1, partOf(0)],
      [2, new Uint8Array()],
      [-1, partOf(0)],
      [1, partOf(1).subarray(hashBytes)],
    ] as const)
      expect(() => checkPart(sha256, head, part, bytes)).toThrow(expect.objectContaining(refused));
  });

  test('is refused when any bit of it was turned', () => {
    const seed = randomInt(2 ** 31);
    const random = seededRandom(seed);
    for (let round = 0; round < 20; round++) {
      const roots = head.partRoots.slice();
      const at = Math.floor(random() * roots.length);
      roots[at] = (roots[at] ?? 0) ^ (1 << Math.floor(random() * 8));
      expect(() => checkHead(sha256, id, { ...head, partRoots: roots }), `seed ${seed}`).toThrow();
      const part = partOf(1);
      const place = Math.floor(random() * part.length);
      part[place] = (part[place] ?? 0) ^ (1 << Math.floor(random() * 8));
      expect(() => checkPart(sha256, head, 1, part), `seed ${seed}`).toThrow();
    }
  });

  test('knows how long each piece is', () => {
    expect(pieceLength(length, 0)).toBe(pieceBytes);
    expect(pieceLength(length, partPieces + 4)).toBe(pieceBytes - 3);
    expect(hexOf(bytesOfHex(id))).toBe(id);
  });
});
