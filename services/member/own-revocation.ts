import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Revocation } from '../../proto/gen/warren/directory/v1/membership.ts';
import { rawKeyOf } from '../lib/identity/keys.ts';
import type { MemberId } from '../lib/identity/member-id.ts';
import { replaceFile } from '../lib/replace-file.ts';
import { memberDir } from './home.ts';
import { revokedBy } from './revocations.ts';

/** That this member was revoked, as the authority has signed it: the broker only says that it does not know the account. */
export async function keepOwnRevocation(dataDir: string, proof: Revocation): Promise<void> {
  await replaceFile(fileIn(dataDir), `${Buffer.from(Revocation.encode(proof).finish()).toString('base64url')}\n`);
}

/** @returns when, in milliseconds since 1970; undefined: not known to be */
export async function readOwnRevocation(
  dataDir: string,
  { id, authorityCertificate }: { readonly id: MemberId; readonly authorityCertificate: string },
): Promise<number | undefined> {
  try {
    const proof = Revocation.decode(Buffer.from((await readFile(fileIn(dataDir), 'utf8')).trim(), 'base64url'));
    const shown = revokedBy(rawKeyOf(new X509Certificate(authorityCertificate).publicKey), proof);
    return shown?.memberId === id ? shown.revokedAtMs : undefined;
  } catch {
    return undefined;
  }
}

function fileIn(dataDir: string): string {
  return join(memberDir(dataDir), 'revoked');
}
