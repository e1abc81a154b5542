import { spawn } from 'node:child_process';

export interface Tether {
  /** Resolves with the first line that the script prints; rejects if it ends before. */
  readonly firstLine: Promise<string>;
  /** Resolves when the script and every process that has its output open are gone, with what they last printed. */
  readonly ended: Promise<string>;
  /** Lets go: the script sees its input end, and ends what it holds. If that takes too long, all are killed. */
  release(): void;
}

/** Enough for the message that a program dies with. */
const keptOutput = 8_192;

/** What it held, when the shell is gone. */
const lostMs = 3_000;

/**
 * Runs a shell script that holds a process for us. Its standard input is a pipe from this process and nothing is ever
 * written to it: the kernel closes it when we end, however we end (`kill -9` included), and the script then ends what
 * it holds. So nothing outlives its owner. It has its own session, so that a Ctrl-C in our terminal reaches only us.
 * @param graceMs how long the script may take for that
 */
export function tether(
  script: string,
  args: readonly string[],
  { env, graceMs }: { env: NodeJS.ProcessEnv; graceMs: number },
): Tether {
  const child = spawn('/bin/sh', ['-c', script, 'tether', ...args], {
    env,
    stdio: ['pipe', 'pipe', 'pipe'],
    detached: true,
  });
  let output = '';
  let startError = '';
  child.on('error', error => {
    startError = error.message;
  });
  child.stdin.on('error', () => {});
  const ended = new Promise<string>(resolve => {
    child.on('close', () => resolve(startError || output));
  });
  const firstLine = new Promise<string>((resolve, reject) => {
    let first = '';
    const look = (chunk: string): void => {
      first += chunk;
      const end = first.indexOf('\n');
      if (end < 0) return;
      child.stdout.off('data', look);
      resolve(first.slice(0, end));
    };
    child.stdout.setEncoding('utf8').on('data', look);
    void ended.then(text => reject(new Error(text)));
  });
  firstLine.catch(() => {});
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (chunk: string) => {
      output = (output + chunk).slice(-keptOutput);
    });
  }
  let isReleased = false;
  const endWithin = (ms: number): void => {
    const timer = setTimeout(() => {
      try {
        if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
      } catch {
        // All gone.
      }
    }, ms);
    void ended.then(() => clearTimeout(timer));
  };
  const isShellGone = (): boolean => child.exitCode !== null || child.signalCode !== null;
  // Should somebody have killed the shell that would do it.
  child.on('exit', () => {
    if (isReleased) endWithin(lostMs);
  });
  const release = (): void => {
    if (isReleased) return;
    isReleased = true;
    child.stdin.end();
    endWithin(isShellGone() ? lostMs : graceMs);
  };
  return { firstLine, ended, release };
}
