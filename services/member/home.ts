import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { claim } from '../lib/claim.ts';
import { Failure, messageOf } from '../lib/failure.ts';
import { certificateFacts } from '../lib/identity/certificate.ts';
import { createMemberKeys, formatMemberKeys, type MemberKeys, parseMemberKeys } from '../lib/identity/keys.ts';
import { replaceFile } from '../lib/replace-file.ts';

const membershipShape = z.object({
  /** PEM, of the network's authority and of this member. */
  authorityCertificate: z.string(),
  certificate: z.string(),
  /** With the member's broker account: a secret. */
  brokerUrls: z.array(z.string()).min(1),
  queueType: z.enum(['classic', 'quorum']),
  /** Which services it may work for. */
  services: z.array(z.string()),
  /** The broker account of the directory, whose answers alone count; not there: `directory`. */
  directoryAccount: z.string().optional(),
});

/** What a member got when it joined. */
export type Membership = z.infer<typeof membershipShape>;

/** The member's folder in a data directory. */
export function memberDir(dataDir: string): string {
  return join(dataDir, 'member');
}

function membershipFile(dataDir: string): string {
  return join(memberDir(dataDir), 'membership.json');
}

/**
 * For whoever changes what is in the folder, or runs by it: one at a time.
 * @throws Failure MEMBER_HELD
 */
export async function claimHome(dataDir: string): Promise<{ release(): Promise<void> }> {
  const dir = memberDir(dataDir);
  await mkdir(dir, { recursive: true, mode: 0o700 });
  const mine = await claim(join(dir, 'owner'));
  if ('heldBy' in mine)
    throw new Failure(
      'MEMBER_HELD',
      `process ${mine.heldBy} is the daemon of ${dir} already, or joins: stop that one, or choose another --data`,
    );
  return mine;
}

/**
 * The member's keys, made on first use and kept for good, 0600, in `<data>/member/key.pem`: joining again is done by the same member.
 * @throws Failure MEMBER_HOME
 */
export async function keptMemberKeys(dataDir: string): Promise<MemberKeys> {
  const dir = memberDir(dataDir);
  const file = join(dir, 'key.pem');
  const pem = await read(file);
  try {
    if (pem !== undefined) return parseMemberKeys(pem);
    await mkdir(dir, { recursive: true, mode: 0o700 });
    const keys = createMemberKeys();
    await replaceFile(file, formatMemberKeys(keys));
    return keys;
  } catch (cause) {
    throw new Failure('MEMBER_HOME', `cannot use the member's key ${file}: ${messageOf(cause)}`, { cause });
  }
}

/** In one file, written whole: it has joined, or it has not. @throws Failure MEMBER_HOME */
export async function keepMembership(dataDir: string, membership: Membership): Promise<void> {
  const dir = memberDir(dataDir);
  try {
    await mkdir(dir, { recursive: true, mode: 0o700 });
    await replaceFile(membershipFile(dataDir), `${JSON.stringify(membership, null, 2)}\n`);
  } catch (cause) {
    throw new Failure('MEMBER_HOME', `cannot keep the membership in ${dir}: ${messageOf(cause)}`, { cause });
  }
}

/** The account that this machine belongs to. @throws Failure IDENTITY_CERTIFICATE */
export function accountOf({ certificate }: Membership): string {
  return certificateFacts(certificate).account;
}

/** @returns undefined when it has not joined. @throws Failure MEMBER_HOME when what is there is damaged */
export async function readMembership(dataDir: string): Promise<Membership | undefined> {
  const file = membershipFile(dataDir);
  const text = await read(file);
  if (text === undefined) return undefined;
  try {
    return membershipShape.parse(JSON.parse(text));
  } catch (cause) {
    throw new Failure('MEMBER_HOME', `${file} is damaged: remove it, and join again with a new invite`, { cause });
  }
}

async function read(file: string): Promise<string | undefined> {
  return await readFile(file, 'utf8').catch(error => {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new Failure('MEMBER_HOME', `cannot read ${file}: ${messageOf(error)}`, { cause: error });
  });
}
