import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';

const bin = resolve(import.meta.dirname, '../../bin/warren.js');

export interface WarrenProcess extends AsyncDisposable {
  readonly child: ChildProcess;
  readonly pid: number;
  /** Where it runs. */
  readonly cwd: string;
  /** Every line so far, both streams. */
  readonly lines: string[];
  /** Resolves with the first line, past or future, that matches. Rejects when the process ends without one. */
  line(pattern: RegExp): Promise<string>;
  /** Exit code, or the signal that ended it. */
  readonly exit: Promise<number | NodeJS.Signals>;
  kill(signal: NodeJS.Signals): void;
  /** Writes to its standard input, which it has if it was asked for. */
  type(text: string): void;
}

/**
 * `warren ARGS` as a process of its own, in an empty directory, without this process's WARREN_ settings.
 * @param on what to begin the command with: a host of `hosts.ts`
 * @param input `pipe`: it has a standard input, open as long as it runs
 */
export async function spawnWarren(
  args: readonly string[],
  env: Record<string, string> = {},
  on: readonly string[] = [],
  input: 'ignore' | 'pipe' = 'ignore',
): Promise<WarrenProcess> {
  const cwd = await mkdtemp(join(tmpdir(), 'warren-test-'));
  const clean = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('WARREN_')));
  const [program = '', ...rest] = [...on, process.execPath, bin, ...args];
  const child = spawn(program, rest, {
    cwd,
    env: { ...clean, ...env },
    stdio: [input, 'pipe', 'pipe'],
  });
  // What is typed to one that has gone.
  child.stdin?.on('error', () => {});
  const lines: string[] = [];
  const waiting = new Set<() => void>();
  for (const stream of [child.stdout, child.stderr]) {
    if (stream === null) continue;
    createInterface({ input: stream }).on('line', line => {
      lines.push(line);
      for (const look of [...waiting]) look();
    });
  }
  const exit = once(child, 'exit').then(([code, signal]) => (signal ?? code) as number | NodeJS.Signals);
  const line = (pattern: RegExp): Promise<string> =>
    new Promise((found, reject) => {
      const look = (): void => {
        const match = lines.find(text => pattern.test(text));
        if (match === undefined) return;
        waiting.delete(look);
        found(match);
      };
      waiting.add(look);
      look();
      void exit.then(code => {
        if (waiting.delete(look))
          reject(new Error(`warren ${args.join(' ')} ended (${code}) before ${pattern}:\n${lines.join('\n')}`));
      });
    });
  const end = async (): Promise<void> => {
    // A stopped process takes SIGKILL too.
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
    await exit;
    await rm(cwd, { recursive: true, force: true });
  };
  return {
    child,
    pid: child.pid ?? 0,
    cwd,
    lines,
    line,
    exit,
    kill: signal => void child.kill(signal),
    type: text => void child.stdin?.write(text),
    [Symbol.asyncDispose]: end,
  };
}

/** `warren worker` for one upstream. */
export function spawnWorker(
  broker: string,
  service: string,
  upstream: string,
  env: Record<string, string> = {},
): Promise<WarrenProcess> {
  return spawnWarren(['worker', '--broker', broker, '--service', service, '--upstream', upstream], env);
}
