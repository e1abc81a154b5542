import { readFile } from 'node:fs/promises';
import { parseInviteLine } from '../directory/invite-line.ts';
import { backoffMs } from '../lib/backoff.ts';
import { Failure, messageOf } from '../lib/failure.ts';
import { shortId } from '../lib/identity/member-id.ts';
import { pause } from '../lib/pause.ts';
import { CallFailure } from '../lib/rpc/call-failure.ts';
import { join } from './join.ts';

export interface FileJoinNeeds {
  readonly say: (line: string) => void;
  readonly warn: (line: string) => void;
  readonly random: () => number;
}

export interface FileJoinOptions {
  readonly file: string;
  readonly dataDir: string;
  /** For an invite that names no account. */
  readonly username: string;
}

const lookMs = 250;
const retryBounds = { firstMs: 1_000, maxMs: 30_000 };

/**
 * Joins with the invite in a file that somebody else puts there, whenever that is: *waiting* (no file, or one that was refused and has not
 * changed since) → *joining*, again and again while broker or directory are away → *joined*, or *waiting* again when they refuse it.
 * Resolves as well when `signal` aborts first.
 * @throws Failure MEMBER_HOME
 */
export async function joinByFile(
  { say, warn, random }: FileJoinNeeds,
  { file, dataDir, username }: FileJoinOptions,
  signal: AbortSignal,
): Promise<void> {
  let refused: string | undefined;
  let isTold = false;
  let attempt = 0;
  let told = '';
  while (!signal.aborted) {
    const line = await lineIn(file);
    if (line === undefined || line === refused) {
      if (!isTold && line === undefined) say(`this machine has not joined: it does when there is an invite in ${file}`);
      isTold = true;
      await pause(lookMs, signal);
      continue;
    }
    try {
      const { username: invited } = parseInviteLine(line);
      const joined = await join({ line, dataDir, username: invited || username, signal });
      say(`joined as ${shortId(joined.id)}, one of ${joined.username}`);
      return;
    } catch (error) {
      if (signal.aborted) break;
      if (error instanceof Failure && error.code === 'MEMBER_HOME') throw error;
      const why = messageOf(error);
      if (isForNow(error)) {
        if (why !== told) warn(`${why}; it goes on trying`);
        told = why;
        await pause(backoffMs(attempt++, retryBounds, random), signal);
      } else {
        warn(`${why}; it waits for another invite in ${file}`);
        refused = line;
      }
    }
  }
}

/** Undefined when there is none yet. @throws Failure MEMBER_HOME */
async function lineIn(file: string): Promise<string | undefined> {
  try {
    return (await readFile(file, 'utf8')).trim() || undefined;
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new Failure('MEMBER_HOME', `cannot read the invite in ${file}: ${messageOf(cause)}`, { cause });
  }
}

/** Nobody has refused the invite: whom it was to be shown to was not there. */
function isForNow(error: unknown): boolean {
  if (error instanceof CallFailure) return ['UNAVAILABLE', 'ABORTED', 'DEADLINE_EXCEEDED'].includes(error.status);
  return !(error instanceof Failure) || error.code === 'JOIN_BROKER' || error.code.startsWith('BUS_');
}
