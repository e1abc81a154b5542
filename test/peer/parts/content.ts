import {
  type ContentId,
  contentIdOf,
  hashBytes,
  leafOf,
  type ManifestHead,
  partRootsOf,
  pieceBytes,
  pieceCount,
} from '../../../services/peer/merkle.ts';
import { sha256 } from '../../../services/peer/sha256.ts';
import { seededRandom } from '../../support/seeded.ts';

export interface SampleContent {
  readonly bytes: Buffer;
  readonly id: ContentId;
  readonly head: ManifestHead;
  readonly leaves: Uint8Array;
  piece(piece: number): Buffer;
}

/** Bytes that look random, the same for the same seed, and their manifest. */
export function sampleContent(length: number, seed = 1): SampleContent {
  const random = seededRandom(seed);
  // Quickly: a few thousand random bytes again and again, each time with another number before them.
  const block = Buffer.from(Uint8Array.from({ length: 65_521 }, () => Math.floor(random() * 256)));
  const bytes = Buffer.alloc(length);
  for (let at = 0, count = 0; at < length; at += block.length, count++) {
    block.writeUInt32LE(count);
    block.copy(bytes, at);
  }
  const leaves = new Uint8Array(pieceCount(length) * hashBytes);
  const piece = (number: number): Buffer => bytes.subarray(number * pieceBytes, (number + 1) * pieceBytes);
  for (let at = 0; at < pieceCount(length); at++) leaves.set(leafOf(sha256, piece(at)), at * hashBytes);
  const head: ManifestHead = { kind: 'file', length, partRoots: partRootsOf(sha256, leaves) };
  return { bytes, id: contentIdOf(sha256, head), head, leaves, piece };
}
