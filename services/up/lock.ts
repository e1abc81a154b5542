import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { claim } from '../lib/claim.ts';
import { Failure, messageOf } from '../lib/failure.ts';

/**
 * Makes the data directory (0700) and takes it for this process.
 * @throws Failure ALREADY_RUNNING when a living process has it, DATA_DIR when it cannot be made
 */
export async function lockHome(dir: string): Promise<{ release(): Promise<void> }> {
  try {
    await mkdir(dir, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw new Failure('DATA_DIR', `cannot make the data directory ${dir}: ${messageOf(error)}`, { cause: error });
  }
  const mine = await claim(join(dir, 'up.pid'));
  if ('release' in mine) return mine;
  throw new Failure(
    'ALREADY_RUNNING',
    `warren is up already in ${dir} (process ${mine.heldBy}): stop that one, or choose another --data`,
  );
}
