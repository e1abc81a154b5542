import { Failure } from '../lib/failure.ts';

/**
 * What a file is called by everybody: the root of a SHA-256 Merkle tree over its pieces, bound to its length.
 *
 *     leaf  = H(0x00 ‖ piece)                       node = H(0x01 ‖ left ‖ right)        (RFC 6962 §2.1, with its shape and its H() for nothing)
 *     id    = H(0x02 ‖ length as u64be ‖ root)      of a file
 *     id    = H(0x03 ‖ length as u64be ‖ root)      of a folder: length and tree are those of its listing (listing.ts)
 *
 * All leaves together are the manifest. It is cut into parts of 8,192 leaves (256 KiB, 8 GiB of content); as that is a power of two, the
 * tree over the parts' roots is the same tree. So the head (kind, length, parts' roots: 4 KiB for 1 TiB) can be checked against the id
 * before anything else, each part against the head, each piece against its leaf: nobody holds more than that of what is unchecked.
 * Proofs for single pieces would repeat 20 hashes a piece to save 32 bytes a MiB.
 */
export const pieceBytes = 1024 * 1024;
/** Leaves of one part of a manifest. A power of two. */
export const partPieces = 8192;
export const hashBytes = 32;
/** 1 TiB: a piece map of 128 KiB and a manifest of 32 MiB. */
export const mostFileBytes = 2 ** 40;
/** About a million names in one folder. */
export const mostListingBytes = 64 * 1024 * 1024;

/** Of all bytes, one after the other. */
export type Sha256 = (...bytes: readonly Uint8Array[]) => Uint8Array;

/** Of a file or a folder: 64 lower-case hexadecimal digits. */
export type ContentId = string & { readonly contentId: true };
export type ContentKind = 'file' | 'folder';

export interface ManifestHead {
  readonly kind: ContentKind;
  /** Bytes. */
  readonly length: number;
  /** 32 bytes for each part. */
  readonly partRoots: Uint8Array;
}

export function isContentId(text: string): text is ContentId {
  return /^[0-9a-f]{64}$/.test(text);
}

export function pieceCount(length: number): number {
  return Math.ceil(length / pieceBytes);
}

/** Bytes of that piece: 1 MiB, but for the last one. */
export function pieceLength(length: number, piece: number): number {
  return Math.min(pieceBytes, length - piece * pieceBytes);
}

export function partCount(length: number): number {
  return Math.ceil(pieceCount(length) / partPieces);
}

/** What a piece's bytes stand behind when they are hashed. */
export const leafPrefix = Uint8Array.of(0);
const nodePrefix = Uint8Array.of(1);

export function leafOf(sha256: Sha256, piece: Uint8Array): Uint8Array {
  return sha256(leafPrefix, piece);
}

/** The root over hashes that stand one after the other, each level in pairs, an odd one going up as it is. */
export function treeRoot(sha256: Sha256, hashes: Uint8Array): Uint8Array {
  if (hashes.length === 0) return sha256();
  // Not `slice`, which is a view where it is a Buffer.
  const level = new Uint8Array(hashes);
  for (let count = hashes.length / hashBytes; count > 1; count = Math.ceil(count / 2)) {
    for (let at = 0; at < count; at += 2) {
      const pair = level.subarray(at * hashBytes, Math.min(count, at + 2) * hashBytes);
      level.set(pair.length > hashBytes ? sha256(nodePrefix, pair) : pair, (at / 2) * hashBytes);
    }
  }
  return level.slice(0, hashBytes);
}

/** @param leaves of all pieces */
export function partRootsOf(sha256: Sha256, leaves: Uint8Array): Uint8Array {
  const bytes = partPieces * hashBytes;
  const roots = new Uint8Array(Math.ceil(leaves.length / bytes) * hashBytes);
  for (let part = 0; part * hashBytes < roots.length; part++)
    roots.set(treeRoot(sha256, leaves.subarray(part * bytes, (part + 1) * bytes)), part * hashBytes);
  return roots;
}

/** Of a content that is in memory as a whole, and all its leaves. */
export function manifestOf(
  sha256: Sha256,
  kind: ContentKind,
  bytes: Uint8Array,
): { readonly head: ManifestHead; readonly leaves: Uint8Array } {
  const leaves = new Uint8Array(pieceCount(bytes.length) * hashBytes);
  for (let piece = 0; piece < pieceCount(bytes.length); piece++)
    leaves.set(leafOf(sha256, bytes.subarray(piece * pieceBytes, (piece + 1) * pieceBytes)), piece * hashBytes);
  return { head: { kind, length: bytes.length, partRoots: partRootsOf(sha256, leaves) }, leaves };
}

export function contentIdOf(sha256: Sha256, { kind, length, partRoots }: ManifestHead): ContentId {
  const bound = new Uint8Array(9);
  bound[0] = kind === 'file' ? 2 : 3;
  new DataView(bound.buffer).setBigUint64(1, BigInt(length));
  return hexOf(sha256(bound, treeRoot(sha256, partRoots))) as ContentId;
}

/**
 * Before anything else is done with what a stranger says of a content.
 * @throws Failure PEER_MANIFEST when it is not that of the id, or beyond the bounds
 */
export function checkHead(sha256: Sha256, id: ContentId, head: ManifestHead): void {
  const { kind, length, partRoots } = head;
  const most = kind === 'file' ? mostFileBytes : mostListingBytes;
  if (!Number.isSafeInteger(length) || length < 0 || length > most)
    throw new Failure('PEER_MANIFEST', `${id} is said to have ${length} bytes; ${most} are taken at most`);
  if (partRoots.length !== partCount(length) * hashBytes)
    throw new Failure('PEER_MANIFEST', `the manifest of ${id} does not have as many parts as its length takes`);
  if (contentIdOf(sha256, head) !== id) throw new Failure('PEER_MANIFEST', `the manifest is not that of ${id}`);
}

/** @throws Failure PEER_MANIFEST when the leaves are not those of that part. @param head checked before */
export function checkPart(sha256: Sha256, head: ManifestHead, part: number, leaves: Uint8Array): void {
  const pieces = Math.min(partPieces, pieceCount(head.length) - part * partPieces);
  if (!(part >= 0 && pieces > 0) || leaves.length !== pieces * hashBytes)
    throw new Failure('PEER_MANIFEST', `part ${part} of the manifest does not have the leaves of its pieces`);
  const root = head.partRoots.subarray(part * hashBytes, (part + 1) * hashBytes);
  if (!isEqual(treeRoot(sha256, leaves), root))
    throw new Failure('PEER_MANIFEST', `part ${part} of the manifest is not what its head says`);
}

export function isEqual(one: Uint8Array, other: Uint8Array): boolean {
  return one.length === other.length && one.every((byte, at) => byte === other[at]);
}

export function hexOf(bytes: Uint8Array): string {
  let text = '';
  for (const byte of bytes) text += byte.toString(16).padStart(2, '0');
  return text;
}

export function bytesOfHex(hex: string): Uint8Array {
  return Uint8Array.from({ length: hex.length / 2 }, (_, at) => Number.parseInt(hex.slice(at * 2, at * 2 + 2), 16));
}
