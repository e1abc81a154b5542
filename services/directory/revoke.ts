import { RevokedMember } from '../../proto/gen/warren/directory/v1/membership.ts';
import { Failure } from '../lib/failure.ts';
import type { Authority } from '../lib/identity/authority.ts';
import { parseMemberKeys, signAs } from '../lib/identity/keys.ts';
import { type MemberId, shortId } from '../lib/identity/member-id.ts';
import type { MemberRow } from './member-store.ts';
import type { DirectoryStore } from './store.ts';

/** Of what the authority signs. */
export const revokedContext = 'warren.directory.v1.RevokedMember';

/**
 * Puts a member on the list of the revoked, for good. Its account on the broker is taken by whoever keeps those.
 * @param now milliseconds since 1970
 */
export function revokeMember(store: DirectoryStore, authority: Authority, id: MemberId, now: number): void {
  store.transaction(() => {
    const serials = store.members.serials(id, now);
    const revoked = RevokedMember.encode({ memberId: id, serials, revokedAtMs: now }).finish();
    // The authority's key is Ed25519 as the members' are.
    const signature = signAs(parseMemberKeys(authority.key), revokedContext, revoked);
    if (store.members.revoke(id, { revoked, signature }, now)) store.endSessionsAs(id);
  });
  store.index.forget(id);
}

/**
 * The member that people mean, by its id or the beginning of it.
 * @throws Failure NO_MEMBER none, or several
 */
export function findMember(store: DirectoryStore, text: string): MemberRow {
  const beginning = text.toLowerCase();
  const found = /^[0-9a-f]{4,64}$/.test(beginning) ? store.members.list({ beginning, limit: 3 }) : [];
  const [only, another] = found;
  if (only === undefined)
    throw new Failure('NO_MEMBER', `there is no member ${JSON.stringify(text)} (see warren members list)`);
  if (another !== undefined)
    throw new Failure(
      'NO_MEMBER',
      `several members begin with ${beginning}: ${found.map(({ id }) => shortId(id)).join(', ')}; say more of it`,
    );
  return only;
}
