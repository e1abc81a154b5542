import { constants, type FileHandle, mkdir, open, readdir, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Failure, messageOf } from '../../lib/failure.ts';
import { lockDirectory } from './directory-lock.ts';
import type { Disk, DiskFile } from './disk.ts';
import { syncDirectory } from './sync-directory.ts';

/** No space on the device, over quota, over the limit of a file's size. */
const fullCodes = new Set(['ENOSPC', 'EDQUOT', 'EFBIG']);

export interface NodeDisk extends Disk, AsyncDisposable {
  /** Closes what is open and gives the directory free for another process. */
  close(): Promise<void>;
}

/**
 * A directory of this machine, made 0700, and locked for this process until `close`.
 * @throws Failure STORE_LOCKED when another process has it; DISK_ERROR, DISK_FULL
 */
export async function openNodeDisk(directory: string): Promise<NodeDisk> {
  await attempt(directory, async () => {
    const made = await mkdir(directory, { recursive: true, mode: 0o700 });
    // The new directory's own entry is data too.
    if (made !== undefined) await syncDirectory(dirname(made));
  });
  const lock = await attempt(directory, () => lockDirectory(directory));
  const handles = new Set<FileHandle>();
  const close = async (): Promise<void> => {
    try {
      for (const handle of handles) await handle.close();
    } finally {
      await lock.release();
    }
  };
  return {
    name: directory,
    list: () => attempt(directory, () => readdir(directory)),
    open: name => openFile(join(directory, name), handles),
    remove: name => attempt(join(directory, name), () => rm(join(directory, name), { force: true })),
    syncDir: () => attempt(directory, () => syncDirectory(directory)),
    close,
    [Symbol.asyncDispose]: close,
  };
}

async function openFile(path: string, handles: Set<FileHandle>): Promise<DiskFile> {
  const handle = await attempt(path, () => open(path, constants.O_RDWR | constants.O_CREAT, 0o600));
  handles.add(handle);
  return {
    write: (offset, buffers) => attempt(path, () => writeAll(handle, offset, buffers)),
    sync: () => attempt(path, () => handle.datasync()),
    read: (offset, length) => attempt(path, () => readAll(handle, offset, length)),
    size: () => attempt(path, async () => (await handle.stat()).size),
    truncate: length => attempt(path, () => handle.truncate(length)),
    close: () => {
      handles.delete(handle);
      return attempt(path, () => handle.close());
    },
  };
}

async function writeAll(handle: FileHandle, offset: number, buffers: readonly Buffer[]): Promise<void> {
  let at = offset;
  let left = buffers.filter(buffer => buffer.length > 0);
  while (left.length > 0) {
    let { bytesWritten } = await handle.writev(left, at);
    if (bytesWritten === 0) throw Object.assign(new Error('nothing was written'), { code: 'EIO' });
    at += bytesWritten;
    let whole = 0;
    for (; whole < left.length && bytesWritten >= (left[whole]?.length ?? 0); whole++) {
      bytesWritten -= left[whole]?.length ?? 0;
    }
    left = left.slice(whole);
    if (bytesWritten > 0) left = left.map((buffer, i) => (i === 0 ? buffer.subarray(bytesWritten) : buffer));
  }
}

async function readAll(handle: FileHandle, offset: number, length: number): Promise<Buffer> {
  const buffer = Buffer.allocUnsafeSlow(length);
  let read = 0;
  while (read < length) {
    const { bytesRead } = await handle.read(buffer, read, length - read, offset + read);
    if (bytesRead === 0) break;
    read += bytesRead;
  }
  return buffer.subarray(0, read);
}

async function attempt<T>(path: string, act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (error) {
    if (error instanceof Failure) throw error;
    if (fullCodes.has((error as NodeJS.ErrnoException).code ?? '')) {
      throw new Failure('DISK_FULL', `no space left for ${path}: make room on its disk`, { cause: error });
    }
    throw new Failure('DISK_ERROR', `${path}: ${messageOf(error)}`, { cause: error });
  }
}
