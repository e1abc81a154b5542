import { randomBytes } from 'node:crypto';
import { createBrokerAccounts } from '../../services/bus/accounts/management.ts';
import { hashBrokerPassword } from '../../services/bus/accounts/password-hash.ts';
import { memberAccount } from '../../services/bus/accounts/specs.ts';
import { type Authority, issueCertificate } from '../../services/lib/identity/authority.ts';
import { createMemberKeys, formatMemberKeys } from '../../services/lib/identity/keys.ts';
import { brokerAccountOf, type MemberId } from '../../services/lib/identity/member-id.ts';
import { randomHex } from '../../services/lib/random.ts';
import type { MemberCredentials } from '../../services/lib/rpc/member-tls.ts';

/** A new member of a network. @param now milliseconds since 1970 */
export async function memberOf(
  authority: Authority,
  { account = 'bench', now = Date.now() } = {},
): Promise<MemberCredentials & { readonly id: MemberId }> {
  const keys = createMemberKeys();
  const certificate = await issueCertificate(authority, { publicKey: keys.publicKey, account, now, days: 1 });
  return { id: keys.id, authorityCertificate: authority.certificate, certificate, key: formatMemberKeys(keys) };
}

/** @returns the broker's URL, with the account that it now has for the member */
export async function accountFor(
  { url, httpUrl }: { readonly url: string; readonly httpUrl: string },
  id: MemberId,
): Promise<string> {
  const password = randomHex(64);
  await createBrokerAccounts(httpUrl).put(memberAccount(id, hashBrokerPassword(password, randomBytes(4)), []));
  const own = new URL(url);
  own.username = brokerAccountOf(id);
  own.password = password;
  return own.href;
}
