import { appendFile, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Revocation } from '../../proto/gen/warren/directory/v1/membership.ts';
import type { MemberId } from '../lib/identity/member-id.ts';
import { memberDir } from './home.ts';
import { authorityKeyOf, revokedBy } from './revocations.ts';

/**
 * What is known of revocations, as the authority has signed them, one a line in `<data>/member/revoked`: a daemon that starts while
 * the broker is away lets nobody in who was revoked before; and of this member itself, of whom the broker says only that it does not
 * know the account.
 */
export async function keepRevocation(dataDir: string, proof: Revocation): Promise<void> {
  const line = Buffer.from(Revocation.encode(proof).finish()).toString('base64url');
  // A line that a crash has cut is ended first.
  await appendFile(fileIn(dataDir), `\n${line}\n`, { mode: 0o600 });
}

/** Lines that say nothing are left out. */
export async function readRevocations(dataDir: string): Promise<Revocation[]> {
  const text = await readFile(fileIn(dataDir), 'utf8').catch(() => '');
  return text.split('\n').flatMap(line => {
    try {
      return line === '' ? [] : [Revocation.decode(Buffer.from(line, 'base64url'))];
    } catch {
      return [];
    }
  });
}

/** @returns when this member was revoked, in milliseconds since 1970; undefined: not known to be */
export async function readOwnRevocation(
  dataDir: string,
  { id, authorityCertificate }: { readonly id: MemberId; readonly authorityCertificate: string },
): Promise<number | undefined> {
  const key = authorityKeyOf(authorityCertificate);
  const shown = (await readRevocations(dataDir)).map(proof => revokedBy(key, proof));
  return shown.find(each => each?.memberId === id)?.revokedAtMs;
}

function fileIn(dataDir: string): string {
  return join(memberDir(dataDir), 'revoked');
}
