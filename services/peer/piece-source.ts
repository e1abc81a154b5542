import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';
import { Failure } from '../lib/failure.ts';
import type { ContentIndex, IndexedFile } from './content-index.ts';
import type { DownloadFile } from './download-file.ts';
import { stampOf } from './file-stamp.ts';
import { findListing } from './folder-ids.ts';
import { type ContentId, pieceBytes, pieceLength } from './merkle.ts';
import type { PieceRun } from './piece-map.ts';

/** Of a piece, as it goes over the wire. */
export interface PieceFrame {
  readonly piece: number;
  /** Bytes from the piece's beginning. */
  readonly offset: number;
  readonly data: Uint8Array;
}

/** Gives the bytes of pieces of one content. */
export interface PieceSource {
  /** Bytes. */
  readonly length: number;
  /**
   * A whole piece. The buffer that comes back is the caller's.
   * @throws Failure PEER_NOT_HELD (no such piece here), PEER_FILE_CHANGED (it is not any more what was hashed: nothing of it may be sent)
   */
  read(piece: number): Promise<Uint8Array>;
  close(): Promise<void>;
}

/**
 * A file of the share, by its content. It is opened as what was hashed, and looked at again after each piece that was read, before any of it
 * is given out: what has changed under us is not sent as what it was.
 * @param onChanged a path that is not what the index says: to be looked at again
 * @throws Failure PEER_NOT_HELD
 */
export async function openHeldFile(
  { root, index, onChanged }: { root: string; index: ContentIndex; onChanged: (path: string) => void },
  id: ContentId,
): Promise<PieceSource> {
  for (const file of index.filesOf(id)) {
    const handle = await openAsHashed(root, file);
    if (handle !== undefined) return new HeldFile(handle, file, () => onChanged(file.path));
    onChanged(file.path);
  }
  const listing = findListing(index, id);
  if (listing !== undefined) return sourceOfBytes(listing);
  throw new Failure('PEER_NOT_HELD', `${id} is not here`);
}

async function openAsHashed(root: string, { path, stamp }: IndexedFile): Promise<FileHandle | undefined> {
  let handle: FileHandle | undefined;
  try {
    const flags = constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0);
    handle = await open(join(root, path), flags);
    // Also when a folder above it has become a link to somewhere else: that is another inode.
    if (stampOf(await handle.stat({ bigint: true })) === stamp) return handle;
  } catch {
    // Gone, or not ours to read.
  }
  await handle?.close();
  return undefined;
}

class HeldFile implements PieceSource {
  readonly #handle: FileHandle;
  readonly #file: IndexedFile;
  readonly #onChanged: () => void;

  constructor(handle: FileHandle, file: IndexedFile, onChanged: () => void) {
    this.#handle = handle;
    this.#file = file;
    this.#onChanged = onChanged;
  }

  get length(): number {
    return this.#file.length;
  }

  async read(piece: number): Promise<Uint8Array> {
    const bytes = pieceBuffer(this.length, piece);
    for (let read = 0; read < bytes.length; ) {
      const { bytesRead } = await this.#handle.read(bytes, read, bytes.length - read, piece * pieceBytes + read);
      if (bytesRead === 0) break;
      read += bytesRead;
    }
    if (stampOf(await this.#handle.stat({ bigint: true })) !== this.#file.stamp) {
      this.#onChanged();
      throw new Failure('PEER_FILE_CHANGED', `${this.#file.path} has changed since it was hashed`);
    }
    return bytes;
  }

  close(): Promise<void> {
    return this.#handle.close();
  }
}

/** What has come of a file so far. Closing it leaves the download alone. */
export function sourceOfDownload(download: DownloadFile): PieceSource {
  return {
    length: download.length,
    async read(piece) {
      const bytes = await download.read(piece, pieceBuffer(download.length, piece));
      if (bytes === undefined) throw new Failure('PEER_NOT_HELD', `piece ${piece} is not here yet`);
      return bytes;
    },
    close: async () => {},
  };
}

/** What is in memory: a folder's listing. */
export function sourceOfBytes(bytes: Uint8Array): PieceSource {
  return {
    length: bytes.length,
    read: async piece => {
      const { length } = pieceBuffer(bytes.length, piece);
      return bytes.subarray(piece * pieceBytes, piece * pieceBytes + length);
    },
    close: async () => {},
  };
}

function pieceBuffer(length: number, piece: number): Buffer {
  if (!Number.isInteger(piece) || piece < 0 || piece * pieceBytes >= length)
    throw new Failure('PEER_NOT_HELD', `there is no piece ${piece} in ${length} bytes`);
  return Buffer.allocUnsafe(pieceLength(length, piece));
}

/** At most so many runs, and pieces in them, in one request. */
export const mostRuns = 64;
export const mostRequestPieces = 1024;

/**
 * The frames of runs of pieces, in order; one piece ahead is read while the last one goes out.
 * @param frameBytes asked for each frame: it follows the rate limit (token-bucket.ts)
 * @throws Failure as `read`; PEER_NOT_HELD for runs beyond the bounds
 */
export async function* framesOf(
  source: PieceSource,
  runs: readonly PieceRun[],
  frameBytes: () => number,
): AsyncGenerator<PieceFrame> {
  const pieces = runs.reduce((sum, { count }) => sum + count, 0);
  if (runs.length > mostRuns || !(pieces <= mostRequestPieces))
    throw new Failure(
      'PEER_NOT_HELD',
      `more than ${mostRuns} runs or ${mostRequestPieces} pieces are asked for at once`,
    );
  const order = runs.flatMap(({ first, count }) => Array.from({ length: count }, (_, at) => first + at));
  const readAhead = (piece: number | undefined): Promise<Uint8Array> | undefined => {
    const reading = piece === undefined ? undefined : source.read(piece);
    // It is awaited below, unless nobody wants more.
    reading?.catch(() => {});
    return reading;
  };
  let next = readAhead(order[0]);
  for (const [at, piece] of order.entries()) {
    const bytes = await next;
    if (bytes === undefined) return;
    next = readAhead(order[at + 1]);
    for (let offset = 0; offset < bytes.length; ) {
      const data = bytes.subarray(offset, offset + frameBytes());
      yield { piece, offset, data };
      offset += data.length;
    }
  }
}
