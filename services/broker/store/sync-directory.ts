import { open } from 'node:fs/promises';

/** Which files are in it is on disk for good afterwards. */
export async function syncDirectory(directory: string): Promise<void> {
  // There a directory cannot be opened; NTFS journals its entries itself.
  if (process.platform === 'win32') return;
  const handle = await open(directory, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
