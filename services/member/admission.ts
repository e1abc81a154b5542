import type { MemberId } from '../lib/identity/member-id.ts';
import { CallFailure } from '../lib/rpc/call-failure.ts';

/** Who is none of the network any more, as far as is known here. */
export interface RevocationList {
  /** @param serial of a certificate, lower-case hexadecimal */
  isRevoked(serial: string): boolean;
  isRevokedMember(memberId: MemberId): boolean;
  /** Called for each member that becomes revoked. @returns what ends it */
  onRevoked(listener: (memberId: MemberId) => void): () => void;
}

/** @throws CallFailure MEMBER_REVOKED */
export function admit(revocations: RevocationList, memberId: MemberId | undefined): void {
  if (memberId === undefined || revocations.isRevokedMember(memberId))
    throw new CallFailure('PERMISSION_DENIED', 'MEMBER_REVOKED', 'this member is none of the network any more');
}
