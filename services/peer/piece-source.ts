import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';
import { Failure } from '../lib/failure.ts';
import type { ContentIndex, IndexedFile } from './content-index.ts';
import type { DownloadFile } from './download-file.ts';
import { stampOf } from './file-stamp.ts';
import { findListing } from './folder-ids.ts';
import { MemoryPool } from './memory-pool.ts';
import { type ContentId, pieceBytes, pieceLength } from './merkle.ts';
import { headroomBytes, type PieceFrame, RoomyFrame } from './piece-frame.ts';
import type { PieceRun } from './piece-map.ts';
import { readParts } from './read-parts.ts';

/** Gives the bytes of pieces of one content. */
export interface PieceSource {
  /** Bytes. */
  readonly length: number;
  /**
   * A whole piece, into the parts that are given: together they are as long as it.
   * @throws Failure PEER_NOT_HELD (no such piece here), PEER_FILE_CHANGED (it is not any more what was hashed: nothing of it may be sent)
   */
  read(piece: number, into: readonly Uint8Array[]): Promise<void>;
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

  async read(piece: number, into: readonly Uint8Array[]): Promise<void> {
    await readParts(this.#handle, into, piece * pieceBytes);
    if (stampOf(await this.#handle.stat({ bigint: true })) !== this.#file.stamp) {
      this.#onChanged();
      throw new Failure('PEER_FILE_CHANGED', `${this.#file.path} has changed since it was hashed`);
    }
  }

  close(): Promise<void> {
    return this.#handle.close();
  }
}

/** What has come of a file so far. Closing it leaves the download alone. */
export function sourceOfDownload(download: DownloadFile): PieceSource {
  return {
    length: download.length,
    async read(piece, into) {
      if (!(await download.read(piece, into))) throw new Failure('PEER_NOT_HELD', `piece ${piece} is not here yet`);
    },
    close: async () => {},
  };
}

/** What is in memory: a folder's listing. */
export function sourceOfBytes(bytes: Uint8Array): PieceSource {
  return {
    length: bytes.length,
    async read(piece, into) {
      let at = piece * pieceBytes;
      for (const part of into) {
        part.set(bytes.subarray(at, at + part.length));
        at += part.length;
      }
    },
    close: async () => {},
  };
}

/** A piece in frames of 16 KiB or more. */
const framedBytes = pieceBytes + 64 * headroomBytes;
const keptPieces = 16;

/** For pieces on their way out. */
export function createPieceMemory(): MemoryPool {
  return new MemoryPool(framedBytes, keptPieces);
}

interface FramedPiece {
  readonly frames: readonly RoomyFrame[];
  readonly memory: Buffer;
}

/** A piece with room before each of its frames. @throws Failure PEER_NOT_HELD when there is no such piece */
async function readFrames(
  source: PieceSource,
  piece: number,
  frameBytes: number,
  pieces: MemoryPool | undefined,
): Promise<FramedPiece> {
  if (!Number.isInteger(piece) || piece < 0 || piece * pieceBytes >= source.length)
    throw new Failure('PEER_NOT_HELD', `there is no piece ${piece} in ${source.length} bytes`);
  const length = pieceLength(source.length, piece);
  const count = Math.ceil(length / frameBytes);
  const bytes = length + count * headroomBytes;
  const memory = pieces?.take(bytes) ?? Buffer.allocUnsafeSlow(bytes);
  const frames = Array.from({ length: count }, (_, at) => {
    const offset = at * frameBytes;
    const start = offset + (at + 1) * headroomBytes;
    return new RoomyFrame(piece, offset, memory.subarray(start, start + Math.min(frameBytes, length - offset)));
  });
  await source.read(
    piece,
    frames.map(({ data }) => data),
  );
  return { frames, memory };
}

/** At most so many runs, and pieces in them, in one request. */
export const mostRuns = 64;
export const mostRequestPieces = 1024;

/**
 * The frames of runs of pieces, in order; one piece ahead is read while the last one goes out.
 * @param frameBytes asked for each frame: it follows the rate limit (token-bucket.ts)
 * @param memory when who takes them has copied a frame by the time that he asks for the next one; else each piece has its own
 * @throws Failure as `read`; PEER_NOT_HELD for runs beyond the bounds
 */
export async function* framesOf(
  source: PieceSource,
  runs: readonly PieceRun[],
  frameBytes: () => number,
  memory?: MemoryPool,
): AsyncGenerator<PieceFrame> {
  const pieces = runs.reduce((sum, { count }) => sum + count, 0);
  if (runs.length > mostRuns || !(pieces <= mostRequestPieces))
    throw new Failure(
      'PEER_NOT_HELD',
      `more than ${mostRuns} runs or ${mostRequestPieces} pieces are asked for at once`,
    );
  const order = runs.flatMap(({ first, count }) => Array.from({ length: count }, (_, at) => first + at));
  const readAhead = (piece: number | undefined): Promise<FramedPiece> | undefined => {
    const reading = piece === undefined ? undefined : readFrames(source, piece, frameBytes(), memory);
    // It is awaited below, unless nobody wants more.
    reading?.catch(() => {});
    return reading;
  };
  let next = readAhead(order[0]);
  try {
    for (const at of order.keys()) {
      const framed = await next;
      if (framed === undefined) return;
      next = readAhead(order[at + 1]);
      for (const frame of framed.frames) {
        // The limit may have become lower since it was read.
        if (frame.data.length <= frameBytes()) yield frame;
        else yield* cut(frame, frameBytes);
      }
      memory?.give(framed.memory);
    }
  } finally {
    // One that was read ahead for nobody. While it is still being read into, it is nobody's else.
    void next?.then(
      ({ memory: unused }) => memory?.give(unused),
      () => {},
    );
  }
}

function* cut({ piece, offset, data }: PieceFrame, frameBytes: () => number): Generator<PieceFrame> {
  for (let at = 0; at < data.length; ) {
    const part = data.subarray(at, at + frameBytes());
    yield { piece, offset: offset + at, data: part };
    at += part.length;
  }
}
