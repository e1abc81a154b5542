import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';

/** A service of the benchmark, in a process of its own. */
export interface Child {
  readonly name: string;
  readonly pid: number;
  readonly process: ChildProcess;
  /** Rejects when it ends before it was asked to. */
  readonly failed: Promise<never>;
}

/** Every process that this run started. Whatever happens, none is left behind: they are ended by their ids. */
export class Children {
  readonly #children = new Set<Child>();
  #ending = false;

  constructor() {
    // The last resort, when an error or a signal got past us.
    process.on('exit', () => {
      for (const child of this.#children) child.process.kill('SIGKILL');
    });
  }

  /** With an IPC channel when `stdio` has one. What it says on standard error is passed on. */
  start(name: string, command: string, args: readonly string[], options: SpawnOptions = {}): Child {
    const child = spawn(command, args, { stdio: ['ignore', 'ignore', 'inherit'], ...options });
    child.on('error', error => process.stderr.write(`bench: ${name}: ${error.message}\n`));
    if (child.pid === undefined) throw new Error(`${name} cannot be started: ${command}`);
    const failure = Promise.withResolvers<never>();
    // Whoever waits for something of it hears of it; nobody else need.
    failure.promise.catch(() => {});
    const started: Child = { name, pid: child.pid, process: child, failed: failure.promise };
    this.#children.add(started);
    child.on('exit', (code, signal) => {
      this.#children.delete(started);
      if (!this.#ending) failure.reject(new Error(`${name} ended by itself (${signal ?? code})`));
    });
    return started;
  }

  /** A script of this folder, run by this Node. */
  startScript(name: string, file: string, args: readonly string[], options: SpawnOptions = {}): Child {
    return this.start(name, process.execPath, [`${import.meta.dirname}/${file}`, ...args], options);
  }

  async end(): Promise<void> {
    this.#ending = true;
    await Promise.all([...this.#children].map(endOne));
  }
}

/** SIGTERM, so that profiles are written; SIGKILL for who does not listen. */
export function endOne({ process: child }: Child): Promise<void> {
  return new Promise(resolve => {
    if (child.exitCode !== null || child.signalCode !== null) return resolve();
    const force = setTimeout(() => child.kill('SIGKILL'), 8_000);
    child.once('exit', () => {
      clearTimeout(force);
      resolve();
    });
    child.kill('SIGTERM');
  });
}

/** The next thing that a child says over its IPC channel. */
export function nextMessage({ name, process: child }: Child, timeoutMs: number): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const settle = (act: () => void): void => {
      clearTimeout(timer);
      child.off('message', onMessage).off('exit', onExit);
      act();
    };
    const onMessage = (value: unknown): void => settle(() => resolve(value));
    const onExit = (): void => settle(() => reject(new Error(`${name} ended`)));
    const timer = setTimeout(() => settle(() => reject(new Error(`${name} says nothing`))), timeoutMs);
    child.on('message', onMessage).on('exit', onExit);
  });
}
