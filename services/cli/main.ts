import { readVersion } from '../lib/version.ts';
import { commands } from './commands.ts';
import { describeError, dispatch, type Program } from './dispatch.ts';
import type { Io } from './io.ts';

/**
 * A Ctrl-C under `npx` or `npm start` may come twice: from the terminal to the whole process group, and from npm, which
 * passes on its own. Within this time, in milliseconds, they are one.
 */
const SAME_INTERRUPT_MS = 500;

/** After an error that nobody caught, the time in milliseconds for what runs to end decently (a broker, say). */
const LAST_WORDS_MS = 5000;

/** The process: signals, standard streams, exit code. Called by `bin/warren.js`; ends the process. */
export async function main(program: Program = { commands, version: readVersion }): Promise<void> {
  const stop = new AbortController();
  let crashed = false;
  stopOnSignals(stop);
  for (const stream of [process.stdout, process.stderr]) {
    // Whoever read it has gone (`warren … | head`, a closed terminal): no reason to complain, but one to stop.
    stream.on('error', () => stop.abort());
  }
  process.on('uncaughtException', error => {
    process.stderr.write(describeError(error, process.env.WARREN_DEBUG === '1'));
    crashed = true;
    stop.abort();
    setTimeout(() => process.exit(1), LAST_WORDS_MS).unref();
  });
  const io: Io = {
    out: text => void process.stdout.write(text),
    err: text => void process.stderr.write(text),
    env: process.env,
    cwd: process.cwd(),
    outColumns: () => columnsOf(process.stdout),
    errColumns: () => columnsOf(process.stderr),
  };
  const code = await dispatch(program, process.argv.slice(2), stop.signal, io);
  // exit() does not wait for pipes on all systems.
  await Promise.all([flushed(process.stdout), flushed(process.stderr)]);
  process.exit(crashed ? 1 : code);
}

function stopOnSignals(stop: AbortController): void {
  let first: number | undefined;
  process.on('SIGINT', () => {
    const now = performance.now();
    if (first !== undefined && now - first > SAME_INTERRUPT_MS) process.exit(130);
    first ??= now;
    stop.abort();
  });
  // SIGHUP: the terminal was closed.
  for (const signal of ['SIGTERM', 'SIGHUP'] as const) process.on(signal, () => stop.abort());
}

function columnsOf(stream: NodeJS.WriteStream): number | undefined {
  // A terminal that does not know its size says 0.
  return stream.isTTY ? stream.columns || 80 : undefined;
}

function flushed(stream: NodeJS.WriteStream): Promise<void> {
  return new Promise(resolve => {
    if (stream.destroyed) resolve();
    else stream.write('', () => resolve());
  });
}
