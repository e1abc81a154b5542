import { mkdir, readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Config } from '../config/config.ts';
import { parseInviteLine } from '../directory/invite-line.ts';
import type { InviteRequest } from '../directory/invites.ts';
import { DirectoryStore, directoryDir } from '../directory/store.ts';
import { Failure, messageOf } from '../lib/failure.ts';
import type { Authority } from '../lib/identity/authority.ts';
import { fingerprintOf } from '../lib/identity/certificate.ts';
import type { MemberId } from '../lib/identity/member-id.ts';
import { replaceFile } from '../lib/replace-file.ts';
import { authorityOf, inviteHere } from './enrolling.ts';

/** What there is in a file for a machine to join with. */
export type InviteFile =
  | { readonly state: 'made'; readonly expiresAt: number; readonly isLocal: boolean }
  | { readonly state: 'open'; readonly expiresAt: number }
  | { readonly state: 'used'; readonly by: MemberId };

/**
 * Sees to it that a file holds an invite that is good, or one that has been used: so whoever deploys may ask for it each time. The file
 * is this user's alone (0600) and written whole.
 * @throws Failure INVITE_FILE, and those of `inviteHere`
 */
export async function keepInviteFile(
  config: Config,
  dataDir: string,
  file: string,
  request: InviteRequest,
): Promise<InviteFile> {
  const known = stateOf(await inviteIn(file), await authorityOf(dataDir), dataDir);
  if (known !== undefined) return known;
  const { line, isLocal } = await inviteHere(config, dataDir, request);
  try {
    await mkdir(dirname(file), { recursive: true, mode: 0o700 });
    await replaceFile(file, `${line}\n`);
  } catch (cause) {
    throw new Failure('INVITE_FILE', `cannot write the invite to ${file}: ${messageOf(cause)}`, { cause });
  }
  return { state: 'made', expiresAt: parseInviteLine(line).expiresAtMs, isLocal };
}

type Line = ReturnType<typeof parseInviteLine>;

/** @returns undefined when there is none yet. What is no invite is somebody's, and stays. */
async function inviteIn(file: string): Promise<Line | undefined> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new Failure('INVITE_FILE', `cannot read ${file}: ${messageOf(cause)}`, { cause });
  }
  if (text.trim() === '') return undefined;
  try {
    return parseInviteLine(text);
  } catch (cause) {
    throw new Failure('INVITE_FILE', `${file} is there already, and holds no invite: choose another, or remove it`, {
      cause,
    });
  }
}

/** Undefined: it has expired, or is of another network (the directory's folder is a new one). */
function stateOf(line: Line | undefined, authority: Authority, dataDir: string): InviteFile | undefined {
  if (line?.authorityFingerprint.toString('hex') !== fingerprintOf(authority.certificate)) return undefined;
  using store = new DirectoryStore(directoryDir(dataDir));
  const by = store.invites.userOf(line.inviteId);
  if (by !== undefined) return { state: 'used', by };
  const { expiresAt = 0 } = store.invites.find(line.inviteId) ?? {};
  return expiresAt > Date.now() ? { state: 'open', expiresAt } : undefined;
}
