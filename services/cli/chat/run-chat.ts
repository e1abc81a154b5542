import { resolve } from 'node:path';
import type { Config } from '../../config/config.ts';
import { Failure } from '../../lib/failure.ts';
import { connectToDaemon } from '../../lib/rpc/local-daemon.ts';

import { readArguments } from '../files/arguments.ts';
import type { Io } from '../io.ts';
import { withChat } from './chat-call.ts';
import { lineMode } from './line-mode.ts';

/** Talks through the member that runs for the data directory; if there is none, runs one that hosts nothing but the chat. */
export async function runChat(config: Config, stop: AbortSignal, io: Io): Promise<void> {
  const dir = resolve(io.cwd, config.data.dir);
  const given = readArguments('ring', 'chat', [], []);
  const ending = new AbortController();
  const signal = AbortSignal.any([stop, ending.signal]);
  if (await isRunning(dir)) return withChat({ given, io, stop, dir }, lineMode);
  const serves = Promise.withResolvers<void>();
  const quiet: Io = {
    ...io,
    out: text => {
      if (text.startsWith('its owner is served')) serves.resolve();
    },
  };
  const { run } = await import('../../member/main.ts');
  const member = run(config, signal, quiet);
  try {
    await Promise.race([serves.promise, member]);
    if (!signal.aborted) await Promise.race([withChat({ given, io, stop, dir }, lineMode), member]);
  } finally {
    ending.abort();
    await member;
  }
}

async function isRunning(dir: string): Promise<boolean> {
  try {
    (await connectToDaemon(dir)).close();
    return true;
  } catch (error) {
    if (error instanceof Failure && error.code === 'DAEMON_NOT_RUNNING') return false;
    throw error;
  }
}
