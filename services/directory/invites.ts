import { createHash, randomBytes } from 'node:crypto';
import { InviteLine } from '../../proto/gen/warren/directory/v1/enrolment.ts';
import type { AccountSpec } from '../bus/accounts/accounts.ts';
import { hashBrokerPassword } from '../bus/accounts/password-hash.ts';
import { inviteAccount } from '../bus/accounts/specs.ts';
import { Failure } from '../lib/failure.ts';
import type { Authority } from '../lib/identity/authority.ts';
import { fingerprintOf } from '../lib/identity/certificate.ts';
import { createSealingKeys } from '../lib/identity/sealing.ts';
import { randomHex } from '../lib/random.ts';
import { formatInviteLine, inviteSecrets } from './invite-line.ts';
import { mistakeInName } from './methods.ts';
import type { DirectoryStore } from './store.ts';

export interface InviteRequest {
  /** A fraction is fine. */
  readonly days: number;
  /** Whose jobs the machine may take. */
  readonly services: readonly string[];
  /** Set: for this account only, which is made if there is none, and whose password is not asked for. */
  readonly username?: string;
}

export interface InviteNeeds {
  readonly store: DirectoryStore;
  readonly authority: Authority;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

export interface InviteOptions {
  /** As others see the broker, without an account. */
  readonly brokerUrls: readonly string[];
  /** The broker account of the directory. */
  readonly directoryAccount: string;
}

const day = 86_400_000;
/** All are named in its rights, and brokers take patterns of 4 KiB. */
const servicesOfOne = 24;

/**
 * Makes an invite in the store. Its account on the broker is made by whoever keeps those.
 * @returns `line`, that the other machine joins with: a secret; and the account that it needs on the broker
 * @throws Failure CONFIG
 */
export function createInvite(
  { store, authority, now }: InviteNeeds,
  { days, services, username }: InviteRequest,
  { brokerUrls, directoryAccount }: InviteOptions,
): { readonly id: string; readonly line: string; readonly account: AccountSpec } {
  if (!(days > 0 && days <= 366))
    throw new Failure('CONFIG', 'an invite is good for more than 0 days, and 366 at most');
  if (new Set(services).size > servicesOfOne)
    throw new Failure('CONFIG', `one machine can work for ${servicesOfOne} services at most`);
  for (const service of services)
    if (!/^[a-z0-9][a-z0-9._-]{0,62}$/.test(service))
      throw new Failure('CONFIG', `${JSON.stringify(service)} is no service name (a-z, 0-9, dot, dash, underscore)`);
  const mistake = username === undefined ? undefined : mistakeInName(username);
  if (mistake !== undefined) throw new Failure('CONFIG', mistake);

  const id = randomHex(16);
  const secret = randomBytes(32);
  const { brokerPassword, proof } = inviteSecrets(secret);
  const { publicKey, privateKey } = createSealingKeys();
  const brokerHash = hashBrokerPassword(brokerPassword, randomBytes(4));
  const expiresAt = Math.round(now() + days * day);
  store.invites.dropExpired(now() - day);
  store.invites.add(
    {
      id,
      proofHash: createHash('sha256').update(proof).digest(),
      sealingKey: privateKey,
      brokerHash,
      services: [...new Set(services)],
      username,
      expiresAt,
    },
    now(),
  );
  const line = formatInviteLine(
    InviteLine.create({
      inviteId: id,
      secret,
      brokerUrls: [...brokerUrls],
      authorityFingerprint: Buffer.from(fingerprintOf(authority.certificate), 'hex'),
      sealingKey: Buffer.from(publicKey),
      expiresAtMs: expiresAt,
      username: username ?? '',
      directoryAccount,
    }),
  );
  return { id, line, account: inviteAccount(id, brokerHash) };
}
