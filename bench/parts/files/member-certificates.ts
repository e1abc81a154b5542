import { createAuthority } from '../../../services/lib/identity/authority.ts';
import type { MemberId } from '../../../services/lib/identity/member-id.ts';
import type { MemberCredentials } from '../../../services/lib/rpc/member-tls.ts';
import { memberOf } from '../members.ts';

/** Two members of one network, as Warren's are. */
export interface MemberTls {
  readonly source: MemberCredentials;
  readonly sourceId: MemberId;
  readonly receiver: MemberCredentials;
}

/** @param now milliseconds since 1970 */
export async function createMemberTls(now: number): Promise<MemberTls> {
  const authority = await createAuthority(now);
  const { id: sourceId, ...source } = await memberOf(authority, { account: 'source', now });
  const { id: _, ...receiver } = await memberOf(authority, { account: 'receiver', now });
  return { source, sourceId, receiver };
}
