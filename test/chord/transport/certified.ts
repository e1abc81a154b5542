import { AddressBook } from '../../../services/chord/address-book.ts';
import { createCodecs } from '../../../services/chord/call-codecs.ts';
import type { Answer } from '../../../services/chord/ring-service.ts';
import { serveRing } from '../../../services/chord/ring-service.ts';
import type { Authority } from '../../../services/lib/identity/authority.ts';
import { issueCertificate } from '../../../services/lib/identity/authority.ts';
import { formatMemberKeys, type MemberKeys } from '../../../services/lib/identity/keys.ts';
import type { Served } from '../../../services/lib/rpc/definition.ts';
import type { MemberCredentials } from '../../../services/lib/rpc/member-tls.ts';

/** What a member shows to others. */
export async function credentialsOf(authority: Authority, keys: MemberKeys): Promise<MemberCredentials> {
  const given = { publicKey: keys.publicKey, account: 'ann', now: Date.now(), days: 1 };
  return {
    authorityCertificate: authority.certificate,
    certificate: await issueCertificate(authority, given),
    key: formatMemberKeys(keys),
  };
}

export const noRevocations = { isRevoked: () => false, isRevokedMember: () => false, onRevoked: () => () => {} };

/** The ring's service as a member has it, with codecs to call others. */
export function codecsOf(member: string, addresses: readonly string[] = []) {
  const book = new AddressBook(member, () => addresses);
  return { book, codecs: createCodecs(book) };
}

export function serviceOf(member: string, answer: Answer): Served {
  const { book, codecs } = codecsOf(member);
  return serveRing(answer, codecs, book);
}
