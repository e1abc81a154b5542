import { link, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Failure } from '../../lib/failure.ts';
import { randomHex } from '../../lib/random.ts';

const lockName = 'store.lock';

/**
 * Takes a directory for this process: a file with its id, and, where the system tells, with its time of birth, since ids
 * are given again (in a container that was started anew even the same one to the same program). One that a dead process
 * left is taken over.
 * @throws Failure STORE_LOCKED
 */
export async function lockDirectory(directory: string): Promise<{ release(): Promise<void> }> {
  const file = join(directory, lockName);
  const own = `${file}.${process.pid}.${randomHex(8)}`;
  const holder = `${process.pid} ${(await birthOf(process.pid)) ?? ''}\n`;
  // Linked when it is whole, so that nobody ever sees the file without the id in it.
  await writeFile(own, holder, { mode: 0o600 });
  try {
    for (;;) {
      try {
        await link(own, file);
        return { release: () => rm(file, { force: true }) };
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      }
      const found = await readFile(file, 'utf8').catch(() => '');
      if (await isHeld(found)) {
        const pid = Number.parseInt(found, 10);
        throw new Failure(
          'STORE_LOCKED',
          `${directory} is in use by process ${pid}: stop it, or choose another directory`,
        );
      }
      await removeStale(file, found, own);
    }
  } finally {
    await rm(own, { force: true });
  }
}

/** Renamed first, so that of two who take over at once one does, and neither removes the other's new lock. */
async function removeStale(file: string, stale: string, own: string): Promise<void> {
  const aside = `${own}.stale`;
  try {
    await rename(file, aside);
  } catch {
    return;
  }
  if ((await readFile(aside, 'utf8')) !== stale) await link(aside, file).catch(() => {});
  await rm(aside, { force: true });
}

async function isHeld(holder: string): Promise<boolean> {
  const [id, birth] = holder.trim().split(' ');
  const pid = Number(id);
  if (!Number.isInteger(pid) || pid <= 0) return false;
  try {
    process.kill(pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') return false;
  }
  const found = await birthOf(pid);
  return found === undefined || birth === undefined || found === birth;
}

/** The boot and the clock tick since then (proc_pid_stat(5), field 22); undefined where there is no /proc. */
async function birthOf(pid: number): Promise<string | undefined> {
  try {
    const boot = (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim();
    const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
    // The second field is the command in brackets and may hold anything.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return `${boot}:${fields[19]}`;
  } catch {
    return undefined;
  }
}
