import { createInterface } from 'node:readline';
import { Failure } from '../lib/failure.ts';
import type { Io } from './io.ts';

/** A pasted file is no password. */
const longest = 4_096;

/**
 * A new password: from the environment, else asked for twice on the terminal without showing it, else the first line of standard
 * input. Never from an argument, which everybody on the machine can see.
 * @param variable the environment's name for it
 * @throws Failure CONFIG when there is none
 */
export async function readPassword(variable: string, io: Io, stop: AbortSignal): Promise<string> {
  return passwordFrom(variable, io, async () => {
    const first = await ask('Password: ', io, stop);
    if ((await ask('Again: ', io, stop)) !== first) throw new Failure('CONFIG', 'the two passwords differ');
    return first;
  });
}

/** One that there is already: the same, asked for once. @throws Failure CONFIG when there is none */
export async function askedPassword(variable: string, io: Io, stop: AbortSignal): Promise<string> {
  return passwordFrom(variable, io, () => ask('Password: ', io, stop));
}

async function passwordFrom(variable: string, io: Io, typed: () => Promise<string>): Promise<string> {
  const given = io.env[variable];
  if (given !== undefined && given !== '') return given;
  if (!process.stdin.isTTY) return firstLine(variable);
  // In raw mode the terminal shows nothing of what is typed, and gives Ctrl-C to us. Before the prompt: one may be quick.
  process.stdin.setRawMode(true);
  try {
    return await typed();
  } finally {
    process.stdin.setRawMode(false);
  }
}

async function firstLine(variable: string): Promise<string> {
  for await (const line of createInterface({ input: process.stdin, crlfDelay: Number.POSITIVE_INFINITY })) {
    if (line.length > 0 && line.length <= longest) return line;
    break;
  }
  throw new Failure('CONFIG', `no password: type it, pipe a line to standard input, or set ${variable}`);
}

/** On a terminal in raw mode. */
function ask(prompt: string, io: Io, stop: AbortSignal): Promise<string> {
  const { stdin } = process;
  io.err(prompt);
  stdin.setEncoding('utf8').resume();
  let typed = '';
  return new Promise((resolve, reject) => {
    const end = (act: () => void): void => {
      stdin.off('data', onData).pause();
      stop.removeEventListener('abort', onStop);
      io.err('\n');
      act();
    };
    const onStop = (): void => end(() => reject(new Failure('STOPPED', 'nothing changed')));
    const onData = (text: string): void => {
      for (const key of text) {
        if (key === '\r' || key === '\n' || key === '\u0004') return end(() => resolve(typed));
        if (key === '\u0003') return onStop();
        if (key === '\u007f' || key === '\b') typed = [...typed].slice(0, -1).join('');
        else if (typed.length < longest) typed += key;
      }
    };
    stdin.on('data', onData);
    stop.addEventListener('abort', onStop);
  });
}
