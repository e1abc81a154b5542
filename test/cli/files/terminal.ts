import { execFile, spawnSync } from 'node:child_process';
import { resolve } from 'node:path';
import { promisify } from 'node:util';
import { onTestFinished } from 'vitest';
import { until } from '../../support/until.ts';

const run = promisify(execFile);
const bin = resolve(import.meta.dirname, '../../../bin/warren.js');

/** Where there is no tmux there is no terminal to try. */
export const hasTerminal = spawnSync('tmux', ['-V']).status === 0;

export interface Terminal {
  /** What stands there, its lines without the blanks at their ends. */
  screen(): Promise<string>;
  /** Waits for it to stand there. @returns the screen */
  shows(pattern: RegExp, withinMs?: number): Promise<string>;
  /** Keys by tmux's names: `Enter`, `C-c`; or text. */
  type(...keys: string[]): Promise<void>;
  resize(columns: number): Promise<void>;
}

/** A real terminal (tmux, a server of its own) in which a shell runs `warren ARGS` and then says `exit CODE`. */
export async function openTerminal(
  argv: readonly string[],
  { columns = 100, rows = 24, locale = 'C.UTF-8' }: { columns?: number; rows?: number; locale?: string } = {},
): Promise<Terminal> {
  const server = `warren-test-${process.pid}-${Math.round(performance.now() * 1_000)}`;
  const tmux = async (...args: string[]): Promise<string> => (await run('tmux', ['-u', '-L', server, ...args])).stdout;
  const clean = Object.entries(process.env).filter(([name]) => !/^(?:WARREN_|TMUX|LC_|LANG)/.test(name));
  const line = [process.execPath, bin, ...argv].map(word => `'${word.replaceAll("'", "'\\''")}'`).join(' ');
  await run(
    'tmux',
    [
      '-u',
      '-L',
      server,
      '-f',
      '/dev/null',
      'new-session',
      '-d',
      '-x',
      String(columns),
      '-y',
      String(rows),
      'sh',
      '-c',
      `trap : INT; ${line}; echo "exit $?"; exec cat`,
    ],
    { env: { ...Object.fromEntries(clean), LANG: locale } },
  );
  onTestFinished(async () => void (await tmux('kill-server').catch(() => {})));
  const screen = async (): Promise<string> => (await tmux('capture-pane', '-p')).trimEnd();
  return {
    screen,
    shows: (pattern, withinMs) => until(screen, seen => pattern.test(seen), withinMs),
    type: async (...keys) => void (await tmux('send-keys', ...keys)),
    resize: async width => void (await tmux('resize-window', '-x', String(width), '-y', String(rows))),
  };
}
