import { Failure } from '../lib/failure.ts';
import {
  bytesOfHex,
  type ContentId,
  type ContentKind,
  hashBytes,
  hexOf,
  mostFileBytes,
  mostListingBytes,
} from './merkle.ts';
import { refusalOfName } from './share-path.ts';

/**
 * A folder's listing: what is directly in it, in one canonical form, so that equal folders have one id. It moves as a file does (its id
 * says that it is a folder's, merkle.ts), and then what it names.
 *
 * For each entry, in the order of the bytes of their names:
 *
 *     kind u8 (0 file, 1 folder) ‖ bytes of the name u8 ‖ name (UTF-8) ‖ size u64be ‖ id (32 bytes)
 */
export interface ListingEntry {
  readonly kind: ContentKind;
  readonly name: string;
  /** Bytes; of a folder, of all files in it. */
  readonly size: number;
  readonly id: ContentId;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const fixedBytes = 2 + 8 + hashBytes;

/** @throws Failure PEER_LISTING when it would be too long */
export function encodeListing(entries: readonly ListingEntry[]): Uint8Array {
  const named = entries.map(entry => ({ entry, name: encoder.encode(entry.name) }));
  named.sort((one, other) => compareBytes(one.name, other.name));
  const length = named.reduce((sum, { name }) => sum + fixedBytes + name.length, 0);
  if (length > mostListingBytes) throw new Failure('PEER_LISTING', 'there is too much in one folder: divide it');
  const bytes = new Uint8Array(length);
  const view = new DataView(bytes.buffer);
  let at = 0;
  for (const { entry, name } of named) {
    bytes[at] = entry.kind === 'file' ? 0 : 1;
    bytes[at + 1] = name.length;
    bytes.set(name, at + 2);
    at += 2 + name.length;
    view.setBigUint64(at, BigInt(entry.size));
    bytes.set(bytesOfHex(entry.id), at + 8);
    at += 8 + hashBytes;
  }
  return bytes;
}

/** @throws Failure PEER_LISTING when it is not canonical, or names what cannot be in a share anywhere */
export function decodeListing(bytes: Uint8Array): ListingEntry[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const entries: ListingEntry[] = [];
  let before: Uint8Array | undefined;
  for (let at = 0; at < bytes.length; ) {
    const kind = bytes[at];
    const nameBytes = bytes.subarray(at + 2, at + 2 + (bytes[at + 1] ?? 0));
    const end = at + fixedBytes + (bytes[at + 1] ?? 0);
    if (end > bytes.length || (kind !== 0 && kind !== 1))
      throw new Failure('PEER_LISTING', 'a folder’s listing is cut');
    if (before !== undefined && compareBytes(before, nameBytes) >= 0)
      throw new Failure('PEER_LISTING', 'a folder’s listing is not in order');
    before = nameBytes;
    const name = decodeName(nameBytes);
    const refusal = refusalOfName(name, 'posix');
    if (refusal !== undefined)
      throw new Failure('PEER_LISTING', `a folder’s listing names ${JSON.stringify(name)} (${refusal})`);
    const size = Number(view.getBigUint64(end - hashBytes - 8));
    if (size > (kind === 0 ? mostFileBytes : Number.MAX_SAFE_INTEGER))
      throw new Failure('PEER_LISTING', `a folder’s listing gives ${JSON.stringify(name)} too many bytes`);
    const id = hexOf(bytes.subarray(end - hashBytes, end)) as ContentId;
    entries.push({ kind: kind === 0 ? 'file' : 'folder', name, size, id });
    at = end;
  }
  return entries;
}

function decodeName(bytes: Uint8Array): string {
  try {
    return decoder.decode(bytes);
  } catch (error) {
    throw new Failure('PEER_LISTING', 'a folder’s listing has a name that is not Unicode', { cause: error });
  }
}

function compareBytes(one: Uint8Array, other: Uint8Array): number {
  const shared = Math.min(one.length, other.length);
  for (let at = 0; at < shared; at++) {
    const difference = (one[at] ?? 0) - (other[at] ?? 0);
    if (difference !== 0) return difference;
  }
  return one.length - other.length;
}
