import { createHash, type Hash } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, mkdir, open, readdir, rm, stat, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { Failure } from '../lib/failure.ts';
import type { ContentIndex } from './content-index.ts';
import { diskFailure } from './disk-failure.ts';
import { stampOf } from './file-stamp.ts';
import { partialDir, placeFile } from './final-place.ts';
import { hashBytes, isEqual, leafPrefix, partPieces, pieceBytes, pieceLength } from './merkle.ts';
import { releaseFrame } from './piece-frame.ts';
import { PieceMap } from './piece-map.ts';
import { readParts } from './read-parts.ts';
import { sha256 } from './sha256.ts';
import type { SharePath } from './share-path.ts';
import type { Unfinished, UnfinishedDownloads } from './unfinished.ts';

/**
 * What has come of one file, on disk: `<share>/.warren/partial/<id>`, as long as the file from the start (sparse), whole pieces at their
 * places. A piece is in the map when it was verified and written; the map is noted in the index now and then. When it is opened again,
 * every piece that the noted map claims is read and verified: what counts is what is really on the disk, whoever killed what.
 *
 * Modes: *open*; *finished* (complete, synced, under its final name, in the index); *closed* (can be opened again); *dropped*.
 */
export class DownloadFile {
  readonly id: Unfinished['id'];
  readonly length: number;
  /** Verified and written. Only the scheduler and this file add to it. */
  readonly map: PieceMap;
  readonly #partial: string;
  readonly #handle: FileHandle;
  readonly #root: string;
  readonly #index: ContentIndex;
  readonly #unfinished: UnfinishedDownloads;
  readonly #content: number;
  readonly #path: SharePath;
  #part = { number: -1, leaves: new Uint8Array() as Uint8Array };
  readonly #writing = new Set<Promise<void>>();

  private constructor(
    { root, index, unfinished }: DownloadPlace,
    { id, head, path }: Unfinished,
    opened: { partial: string; handle: FileHandle; map: PieceMap; content: number },
  ) {
    this.#root = root;
    this.#index = index;
    this.#unfinished = unfinished;
    this.id = id;
    this.length = head.length;
    this.#path = path;
    this.#partial = opened.partial;
    this.#handle = opened.handle;
    this.#content = opened.content;
    this.map = opened.map;
  }

  /**
   * @throws Failure PEER_DISK_FULL when there is no room for what is missing, PEER_DISK_DENIED, PEER_DISK
   */
  static async open(place: DownloadPlace, download: Unfinished): Promise<DownloadFile> {
    const dir = partialDir(place.root);
    const partial = join(dir, download.id);
    const content = place.index.manifests.find(download.id)?.content;
    if (content === undefined) throw new Error('a download is not in the index');
    let handle: FileHandle | undefined;
    try {
      await mkdir(dir, { recursive: true, mode: 0o700 });
      handle = await open(partial, constants.O_RDWR | constants.O_CREAT | (constants.O_NOFOLLOW ?? 0));
      const size = (await handle.stat()).size;
      const map = new PieceMap(download.map.pieces);
      const file = new DownloadFile(place, download, { partial, handle, map, content });
      await file.#verify(download.map, size);
      await handle.truncate(download.head.length);
      await file.#checkRoom(dir);
      return file;
    } catch (error) {
      await handle?.close();
      throw diskFailure(error, partial);
    }
  }

  async #verify(claimed: PieceMap, size: number): Promise<void> {
    const buffer = Buffer.allocUnsafe(pieceBytes);
    for (const { first, count } of claimed.runs()) {
      for (let piece = first; piece < first + count; piece++) {
        const bytes = buffer.subarray(0, pieceLength(this.length, piece));
        if (piece * pieceBytes + bytes.length > size) continue;
        const { bytesRead } = await this.#handle.read(bytes, 0, bytes.length, piece * pieceBytes);
        if (bytesRead === bytes.length && isEqual(sha256(leafPrefix, bytes), this.#leaf(piece))) this.map.add(piece);
      }
    }
  }

  async #checkRoom(dir: string): Promise<void> {
    const { bavail, bsize } = await statfs(dir);
    const missing = (this.map.pieces - this.map.count) * pieceBytes;
    const needed = Math.min(missing, this.length);
    if (bavail * bsize < needed)
      throw new Failure('PEER_DISK_FULL', `the disk has room for ${bavail * bsize} bytes, and ${needed} are missing`);
  }

  #leaf(piece: number): Uint8Array {
    const number = Math.floor(piece / partPieces);
    if (this.#part.number !== number)
      this.#part = { number, leaves: this.#index.manifests.leaves(this.#content, number) };
    const at = (piece % partPieces) * hashBytes;
    return this.#part.leaves.subarray(at, at + hashBytes);
  }

  /** A piece that begins to come. Its frames are hashed as they come and held until it is whole. */
  receive(piece: number): IncomingPiece {
    return new IncomingPiece(pieceLength(this.length, piece), this.#leaf(piece), frames => this.#write(piece, frames));
  }

  async #write(piece: number, frames: readonly Uint8Array[]): Promise<void> {
    const writing = this.#writeAll(frames, piece * pieceBytes);
    this.#writing.add(writing);
    try {
      await writing;
      this.map.add(piece);
    } catch (error) {
      throw diskFailure(error, this.#partial);
    } finally {
      this.#writing.delete(writing);
    }
  }

  async #writeAll(frames: readonly Uint8Array[], position: number): Promise<void> {
    const length = frames.reduce((sum, frame) => sum + frame.length, 0);
    const { bytesWritten } = await this.#handle.writev(frames, position);
    if (bytesWritten === length) return;
    // A disk that is nearly full takes a part: the next write says why.
    const rest = Buffer.concat(frames).subarray(bytesWritten);
    for (let written = 0; written < rest.length; )
      written += (await this.#handle.write(rest, written, rest.length - written, position + bytesWritten + written))
        .bytesWritten;
  }

  /** Notes how far it is; an index that cannot be written (its disk is full, say) costs no more than coming again after a restart. */
  note(): void {
    try {
      this.#unfinished.saveMap(this.id, this.map);
    } catch {
      // What it said before still holds.
    }
  }

  /** A piece that is here, for others, into parts that are together as long. @returns false: it is not here */
  async read(piece: number, into: readonly Uint8Array[]): Promise<boolean> {
    return this.map.has(piece) && (await readParts(this.#handle, into, piece * pieceBytes));
  }

  /** The whole content, when it is complete and not large: a folder's listing. */
  async readAll(): Promise<Buffer> {
    const all = Buffer.alloc(this.length);
    for (let at = 0; at < all.length; ) {
      const { bytesRead } = await this.#handle.read(all, at, all.length - at, at);
      if (bytesRead === 0) throw new Failure('PEER_DISK', `${this.#partial} is shorter than it was`);
      at += bytesRead;
    }
    return all;
  }

  /**
   * Complete: syncs it, gives it its final name and puts it into the index. @returns the path in the share
   * @throws Failure as `placeFile`; it stays open then, and can be tried again
   */
  async finish(): Promise<SharePath> {
    if (!this.map.isComplete) throw new Error('a download is not complete');
    await Promise.allSettled(this.#writing);
    try {
      await this.#handle.sync();
    } catch (error) {
      throw diskFailure(error, this.#partial);
    }
    const path = await placeFile(this.#root, this.#partial, this.#path);
    // Over before the partial name goes: whoever is killed here has a name too many at most, which the next start takes away.
    await this.#enter(path);
    await rm(this.#partial, { force: true });
    // That was a change of the inode. Whatever is in the way of saying so, the file is there: it is hashed again at most.
    await this.#enter(path).catch(() => {});
    await this.#handle.close();
    return path;
  }

  async #enter(path: SharePath): Promise<void> {
    const stats = await stat(join(this.#root, path), { bigint: true });
    this.#index.transaction(() => {
      this.#index.linkFile(path, this.#content, { stamp: stampOf(stats), modifiedMs: Number(stats.mtimeMs) });
      this.#unfinished.end(this.id);
      // Or it would be asked for again after a restart, and get one more name.
      this.#index.sql('DELETE FROM asked WHERE id = ?').run(this.id);
    });
  }

  /** Notes how far it is and lets go. */
  async close(): Promise<void> {
    await Promise.allSettled(this.#writing);
    this.note();
    await this.#handle.close();
  }

  /** Cancelled: nothing is left. */
  async drop(): Promise<void> {
    await Promise.allSettled(this.#writing);
    await this.#handle.close();
    await rm(this.#partial, { force: true });
    this.#unfinished.end(this.id);
  }
}

/** Where downloads go. */
export interface DownloadPlace {
  /** The share, absolute. */
  readonly root: string;
  readonly index: ContentIndex;
  readonly unfinished: UnfinishedDownloads;
}

/** Takes away partial files that belong to no download: at the start, before any is opened. */
export async function removeStrays({ root, unfinished }: DownloadPlace): Promise<void> {
  const dir = partialDir(root);
  const known = new Set<string>(unfinished.list().map(({ id }) => id));
  for (const name of await readdir(dir).catch(() => [])) {
    if (!known.has(name)) await rm(join(dir, name), { force: true, recursive: true });
  }
}

/** Nothing is left of a download that is not open. */
export async function dropUnfinished({ root, unfinished }: DownloadPlace, id: Unfinished['id']): Promise<void> {
  unfinished.end(id);
  await rm(join(partialDir(root), id), { force: true });
}

/** Whether the disk has so many bytes, for a transfer that is held because it had not. */
export async function hasRoom(root: string, bytes: number): Promise<boolean> {
  try {
    const { bavail, bsize } = await statfs(root);
    return bavail * bsize >= bytes;
  } catch {
    return false;
  }
}

/** One piece on its way in: frame by frame, without gaps. */
class IncomingPiece {
  readonly #length: number;
  readonly #leaf: Uint8Array;
  readonly #write: (frames: readonly Uint8Array[]) => Promise<void>;
  readonly #frames: Uint8Array[] = [];
  readonly #hashing: Hash;
  #received = 0;

  constructor(length: number, leaf: Uint8Array, write: (frames: readonly Uint8Array[]) => Promise<void>) {
    this.#length = length;
    this.#leaf = leaf;
    this.#write = write;
    this.#hashing = createHash('sha256').update(leafPrefix);
  }

  /**
   * @returns `more`: it is not whole yet; `whole`: verified, `save` it; `wrong`: it is not what the manifest says, or not what comes next
   */
  add(offset: number, bytes: Uint8Array): 'more' | 'whole' | 'wrong' {
    if (offset !== this.#received || bytes.length === 0 || this.#received + bytes.length > this.#length) return 'wrong';
    this.#frames.push(bytes);
    this.#hashing.update(bytes);
    this.#received += bytes.length;
    if (this.#received < this.#length) return 'more';
    return isEqual(this.#hashing.digest(), this.#leaf) ? 'whole' : 'wrong';
  }

  /** Of a whole one: writes it, and only then does it count. @throws Failure PEER_DISK… */
  async save(): Promise<void> {
    await this.#write(this.#frames);
    for (const frame of this.#frames.splice(0)) releaseFrame(frame);
  }
}
