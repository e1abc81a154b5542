import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { onTestFinished } from 'vitest';

export interface Holder {
  readonly child: ChildProcess;
  /** Of the broker that it started. */
  readonly url: string;
  /** `kill -9`; resolves when it is gone, its broker perhaps not yet. */
  kill(): Promise<void>;
}

/** Another process that starts a broker and holds it. Rejects with what it printed when it fails. */
export async function startHolder(
  kind: 'node' | 'container' | `choose-${string}`,
  dir: string,
  uid?: number,
): Promise<Holder> {
  const program = join(import.meta.dirname, 'hold-broker.ts');
  const child = spawn(process.execPath, [program, kind, dir], {
    stdio: ['ignore', 'pipe', 'pipe'],
    ...(uid === undefined ? {} : { uid, gid: uid }),
  });
  const exit = once(child, 'exit');
  const kill = async (): Promise<void> => {
    child.kill('SIGKILL');
    await exit;
  };
  onTestFinished(kill);
  let complaint = '';
  child.stderr.on('data', chunk => {
    complaint += chunk;
  });
  const line = once(createInterface({ input: child.stdout }), 'line').then(([text]) => String(text));
  const failed = exit.then(() => Promise.reject(new Error(`the holder ended: ${complaint}`)));
  failed.catch(() => {});
  return { child, url: await Promise.race([line, failed]), kill };
}
