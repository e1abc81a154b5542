import { unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { syncDirectory } from '../store/sync-directory.ts';

/** In the broker's directory, from an orderly end to the next start. */
const fileName = 'ended-in-order';

/**
 * Whether the broker that last had this directory ended in order. If not, what it had handed out when it died is not known, and every message
 * may have been delivered before.
 */
export async function takeCleanMark(dir: string): Promise<boolean> {
  try {
    await unlink(join(dir, fileName));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw error;
  }
  // Before anything is handed out.
  await syncDirectory(dir);
  return true;
}

/** Once everything else is on disk. */
export async function leaveCleanMark(dir: string): Promise<void> {
  // Lost in a power cut it is only missed.
  await writeFile(join(dir, fileName), '', { mode: 0o600 });
}
