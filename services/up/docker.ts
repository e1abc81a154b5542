import { execFile } from 'node:child_process';
import { Failure, messageOf } from '../lib/failure.ts';

/** Runs the Docker client. @returns what it printed, trimmed @throws Failure DOCKER with the last thing it said */
export function docker(
  args: readonly string[],
  { timeoutMs = 30_000, signal }: { timeoutMs?: number; signal?: AbortSignal | undefined } = {},
): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile('docker', args, { timeout: timeoutMs, signal, encoding: 'utf8' }, (error, stdout, stderr) => {
      if (error === null) return resolve(stdout.trim());
      if (signal?.aborted) return reject(signal.reason);
      const said = stderr.trim().split('\n').at(-1) || messageOf(error);
      const why = (error as NodeJS.ErrnoException).code === 'ENOENT' ? 'it is not installed' : said;
      reject(new Failure('DOCKER', `docker ${args[0]}: ${why}`, { cause: error }));
    });
  });
}

/** Whether a Docker engine answers within 5 s; if not, why, in a few words. */
export async function dockerState(signal?: AbortSignal): Promise<{ ok: true } | { ok: false; why: string }> {
  try {
    await docker(['info', '--format', '{{.ServerVersion}}'], { timeoutMs: 5_000, signal });
    return { ok: true };
  } catch (error) {
    signal?.throwIfAborted();
    return { ok: false, why: messageOf(error) };
  }
}

export async function hasImage(image: string, signal?: AbortSignal): Promise<boolean> {
  try {
    await docker(['image', 'inspect', '--format', '{{.Id}}', image], { timeoutMs: 5_000, signal });
    return true;
  } catch {
    signal?.throwIfAborted();
    return false;
  }
}
