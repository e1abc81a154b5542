import { open, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { PeerClient } from './look-up.ts';

/** A large file is copied in one call. */
const copyPatienceMs = 3_600_000;
const blockBytes = 1024 * 1024;

/** Copies a file or folder into the share, unless that very file is there under its name: a command typed again changes nothing. */
export async function shareOnce(
  peer: PeerClient,
  { root, from, to, stop }: { root: string; from: string; to: string; stop: AbortSignal },
): Promise<{ path: string; isNew: boolean }> {
  const name = to || basename(from);
  if (root !== '' && (await haveSameBytes(from, join(root, name)))) return { path: name, isNew: false };
  const { path } = await peer.share({ from, to }, { deadlineMs: copyPatienceMs, signal: stop });
  return { path, isNew: true };
}

/** @returns false as well where one of them is no file, or cannot be read */
async function haveSameBytes(one: string, other: string): Promise<boolean> {
  try {
    const [size, otherSize] = await Promise.all([one, other].map(async path => sizeOfFile(path)));
    if (size === undefined || size !== otherSize) return false;
    await using left = await open(one);
    await using right = await open(other);
    const [a, b] = [Buffer.alloc(blockBytes), Buffer.alloc(blockBytes)];
    for (;;) {
      const [{ bytesRead }, { bytesRead: alsoRead }] = await Promise.all([left.read(a), right.read(b)]);
      if (bytesRead !== alsoRead || !a.subarray(0, bytesRead).equals(b.subarray(0, bytesRead))) return false;
      if (bytesRead === 0) return true;
    }
  } catch {
    return false;
  }
}

async function sizeOfFile(path: string): Promise<number | undefined> {
  const found = await stat(path);
  return found.isFile() ? found.size : undefined;
}
