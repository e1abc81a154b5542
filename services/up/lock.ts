import { link, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Failure } from '../lib/failure.ts';

/**
 * Makes the data directory (0700) and takes it for this process, by a file with our process id.
 * @throws Failure ALREADY_RUNNING when a living process has it, DATA_DIR when it cannot be made
 */
export async function lockHome(dir: string): Promise<{ release(): Promise<void> }> {
  const file = join(dir, 'up.pid');
  const own = `${file}.${process.pid}`;
  try {
    await mkdir(dir, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw new Failure('DATA_DIR', `cannot make the data directory ${dir}: ${(error as Error).message}`, { cause: error });
  }
  for (;;) {
    try {
      // Linked, so that nobody ever sees the file without the id in it.
      await writeFile(own, `${process.pid}\n`, { mode: 0o600 });
      await link(own, file);
      return { release: () => rm(file, { force: true }) };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') {
        throw new Failure('DATA_DIR', `cannot write ${file}: ${(error as Error).message}`, { cause: error });
      }
      const pid = Number(await readFile(file, 'utf8').catch(() => ''));
      if (await isWarren(pid)) {
        throw new Failure('ALREADY_RUNNING', `warren is up already in ${dir} (process ${pid}): stop that one, or choose another --data`);
      }
      // Left behind by a process that was killed.
      await rm(file, { force: true });
    } finally {
      await rm(own, { force: true });
    }
  }
}

/** Whether the process lives and is no other that got the same id since. */
async function isWarren(pid: number): Promise<boolean> {
  if (!Number.isInteger(pid) || pid <= 0 || pid === process.pid) return false;
  try {
    process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
  const commandLine = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => 'warren');
  return commandLine.includes('warren');
}
