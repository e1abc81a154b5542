import { access } from 'node:fs/promises';
import { join } from 'node:path';
import type { ShownMember } from '../../directory/member-list.ts';
import { shownMember } from '../../directory/member-list.ts';
import { readPlace } from '../../directory/place.ts';
import { DirectoryStore, directoryDir } from '../../directory/store.ts';
import { messageOf } from '../../lib/failure.ts';
import { askText } from './ask.ts';

/** A directory as it is found on its own machine. */
export interface DirectoryStatus {
  /** Undefined: it is not up; `problem` says how that shows. */
  readonly at: string | undefined;
  readonly problem: string | undefined;
  /** Of its REST, there and back. */
  readonly latencyMs: number | undefined;
  readonly accounts: number;
  readonly sessions: number;
}

/** Undefined when no directory has ever run for the data directory. @throws Failure DIRECTORY_DATA */
export async function directoryStatus(
  dataDir: string,
): Promise<{ readonly directory: DirectoryStatus; readonly members: readonly ShownMember[] } | undefined> {
  const dir = directoryDir(dataDir);
  // To open the store would make one.
  if (!(await isThere(join(dir, 'directory.db')))) return undefined;
  const now = Date.now();
  using store = new DirectoryStore(dir);
  const accounts = store.accounts(now);
  const members = store.members.list().map(member => shownMember(member, now));
  const sessions = accounts.reduce((sum, account) => sum + account.sessions, 0);
  return { directory: { ...(await reach(dir)), accounts: accounts.length, sessions }, members };
}

async function reach(dir: string): Promise<Pick<DirectoryStatus, 'at' | 'problem' | 'latencyMs'>> {
  const place = await readPlace(dir);
  if (place === undefined)
    return { at: undefined, latencyMs: undefined, problem: `no directory runs for ${dir}: warren directory` };
  const sentAt = performance.now();
  try {
    await askText(`${place.url}/livez`);
    return { at: place.url, latencyMs: performance.now() - sentAt, problem: undefined };
  } catch (error) {
    const problem = `the directory at ${place.url} does not answer: ${messageOf(error)}`;
    return { at: undefined, latencyMs: undefined, problem };
  }
}

function isThere(file: string): Promise<boolean> {
  return access(file).then(
    () => true,
    () => false,
  );
}
