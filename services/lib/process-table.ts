import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { setTimeout as wait } from 'node:timers/promises';
import { Failure } from './failure.ts';

/** The command line of a living process, arguments separated by blanks; undefined when there is no such process. */
export function commandLine(pid: number): string | undefined {
  try {
    process.kill(pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') return undefined;
  }
  try {
    // Empty for a zombie: as good as gone.
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim() || undefined;
  } catch {
    try {
      return execFileSync('ps', ['-o', 'command=', '-p', String(pid)], { encoding: 'utf8' }).trim() || undefined;
    } catch {
      return undefined;
    }
  }
}

/**
 * Ends a process that is not our child, if its command line contains `mark` (its id may be another's by now): SIGTERM,
 * and SIGKILL after `graceMs`. Resolves when it is gone.
 * @throws Failure STALE_PROCESS when it will not go (another user's)
 */
export async function endProcess(pid: number, mark: string, graceMs: number): Promise<void> {
  const isThere = (): boolean => commandLine(pid)?.includes(mark) ?? false;
  const signal = (name: NodeJS.Signals): void => {
    try {
      process.kill(pid, name);
    } catch {
      // Gone in between.
    }
  };
  if (!isThere()) return;
  signal('SIGTERM');
  signal('SIGCONT');
  for (const killAt = performance.now() + graceMs; isThere(); await wait(20)) {
    if (performance.now() > killAt) signal('SIGKILL');
    if (performance.now() > killAt + 5_000)
      throw new Failure('STALE_PROCESS', `process ${pid}, left by an earlier run, cannot be ended: end it by hand`);
  }
}
