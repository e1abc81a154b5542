import { createAuthority, issueCertificate } from '../../../services/lib/identity/authority.ts';
import { createMemberKeys, formatMemberKeys } from '../../../services/lib/identity/keys.ts';
import type { MemberId } from '../../../services/lib/identity/member-id.ts';
import type { MemberCredentials } from '../../../services/lib/rpc/member-tls.ts';

/** Two members of one network, as Warren's are. */
export interface MemberTls {
  readonly source: MemberCredentials;
  readonly sourceId: MemberId;
  readonly receiver: MemberCredentials;
}

/** @param now milliseconds since 1970 */
export async function createMemberTls(now: number): Promise<MemberTls> {
  const authority = await createAuthority(now);
  const create = async (account: string): Promise<MemberCredentials & { id: MemberId }> => {
    const keys = createMemberKeys();
    const certificate = await issueCertificate(authority, { publicKey: keys.publicKey, account, now, days: 1 });
    return { id: keys.id, authorityCertificate: authority.certificate, certificate, key: formatMemberKeys(keys) };
  };
  const { id: sourceId, ...source } = await create('source');
  const { id: _, ...receiver } = await create('receiver');
  return { source, sourceId, receiver };
}
