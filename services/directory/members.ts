import type { Member } from '../../proto/gen/warren/directory/v1/directory.ts';
import type { MembershipServiceDefinition } from '../../proto/gen/warren/directory/v1/membership.ts';
import { messageOf } from '../lib/failure.ts';
import { type Authority, issueCertificate } from '../lib/identity/authority.ts';
import { certificateFacts } from '../lib/identity/certificate.ts';
import { isSignedBy } from '../lib/identity/keys.ts';
import { isMemberId, type MemberId } from '../lib/identity/member-id.ts';
import { CallFailure } from '../lib/rpc/call-failure.ts';
import type { Caller, Handlers } from '../lib/rpc/definition.ts';
import type { MemberRow } from './member-store.ts';
import type { Presence } from './presence.ts';
import type { DirectoryStore, Session } from './store.ts';

export interface MembersNeeds {
  readonly store: DirectoryStore;
  readonly presence: Presence;
  readonly authority: Authority;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** An account on the broker is not needed any more. */
  readonly onInviteDone: () => void;
  readonly warn: (line: string) => void;
}

/** To the minute is enough for people, and spares the disk. */
const seenEveryMs = 60_000;
const pageSize = 200;
const revocationsPage = 100;

export interface Members {
  /** Who calls with a member's broker account. @throws CallFailure DIRECTORY_MEMBER */
  asking(memberId: MemberId): MemberRow;
  isRevoked(peerId: string): boolean;
  /** Members that may act, as peers: each is one, with its id in the place of a session's. */
  sessions(): Session[];
  /** It is there, for a lease. */
  renew(member: MemberRow): void;
  /** It says that it goes. */
  end(member: MemberRow): void;
  list(after: string, username: string): { members: Member[]; next: string };
  /** @throws CallFailure DIRECTORY_NO_MEMBER */
  get(memberId: string): Member;
  readonly membership: Handlers<typeof MembershipServiceDefinition>;
}

/** What the directory knows of machines that have joined. */
export function createMembers(
  { store, presence, authority, now, onInviteDone, warn }: MembersNeeds,
  { certificateDays }: { certificateDays: number },
): Members {
  let told = '';
  /** For people only: a disk that is full must not make everybody vanish. */
  const note = (act: () => void): void => {
    try {
      act();
      told = '';
    } catch (error) {
      const line = messageOf(error);
      if (line !== told) warn(`cannot note when members were seen: ${line}`);
      told = line;
    }
  };

  const asking = (memberId: MemberId): MemberRow => {
    const member = store.members.findActive(memberId);
    if (member === undefined)
      throw new CallFailure(
        'UNAUTHENTICATED',
        'DIRECTORY_MEMBER',
        'this machine is no member (any more), or its account is disabled',
      );
    // Later than now: the clock was put back.
    if (now() - member.seenAt >= seenEveryMs || member.seenAt > now())
      note(() => store.members.setSeen(memberId, now()));
    if (store.invites.finish(memberId)) onInviteDone();
    return member;
  };

  const member = (caller: Caller): MemberRow => {
    if (caller.memberId === undefined)
      throw new CallFailure('UNAUTHENTICATED', 'DIRECTORY_MEMBER', 'only a member can ask this, over the broker');
    return asking(caller.memberId);
  };

  const describe = (row: MemberRow): Member => ({
    memberId: row.id,
    publicKey: base64url(row.publicKey),
    username: row.username,
    addresses: [...row.addresses],
    services: [...row.services],
    joinedAtMs: row.joinedAt,
    lastSeenAtMs: row.seenAt,
    activeForMs: presence.activeForMs(row.id),
    certificateEndsAtMs: row.certificateEndsAt,
    sealingKey: base64url(row.sealingKey),
    sealingKeySignature: base64url(row.sealingSignature),
  });

  return {
    asking,
    isRevoked: peerId => isMemberId(peerId) && store.members.find(peerId)?.revokedAt !== undefined,
    sessions: () =>
      store.members.listActive().map(({ id, username, addresses }) => ({
        ...{ id, username, addresses },
        peerId: id,
        expiresAt: Number.POSITIVE_INFINITY,
      })),
    renew({ id, activeUntil }) {
      presence.renew(id);
      // For `warren members list`, which is another process: now and then is enough.
      const leftMs = activeUntil - now();
      if (leftMs < presence.leaseMs / 2 || leftMs > presence.leaseMs)
        note(() =>
          store.members.setActive(id, { since: now() - presence.activeForMs(id), until: now() + presence.leaseMs }),
        );
    },
    end({ id }) {
      presence.end(id);
      note(() => store.members.setActive(id, { since: 0, until: 0 }));
    },
    list(after, username) {
      const rows = store.members.list({ after, username, limit: pageSize + 1 });
      const page = rows.slice(0, pageSize);
      return { members: page.map(describe), next: rows.length > pageSize ? (page.at(-1)?.id ?? '') : '' };
    },
    get(memberId) {
      const row = isMemberId(memberId) ? store.members.find(memberId) : undefined;
      if (row === undefined || row.revokedAt !== undefined)
        throw new CallFailure('NOT_FOUND', 'DIRECTORY_NO_MEMBER', 'there is no such member (any more)');
      return describe(row);
    },
    membership: {
      async renewCertificate(_request, caller) {
        const { id, publicKey, username } = member(caller);
        const certificate = await issueCertificate(authority, {
          publicKey,
          account: username,
          now: now(),
          days: certificateDays,
        });
        const { serial, notAfter } = certificateFacts(certificate);
        store.transaction(() => {
          // Revoked in this very moment: the list would not have its serial.
          member(caller);
          store.members.addCertificate(id, { serial, endsAt: notAfter }, now());
        });
        return { certificate };
      },
      async publishSealingKey({ sealingKey, signature }, caller) {
        const { id, publicKey } = member(caller);
        if (sealingKey.length !== 32 || !isSignedBy(publicKey, 'warren.directory.v1.SealingKey', sealingKey, signature))
          throw new CallFailure(
            'INVALID_ARGUMENT',
            'DIRECTORY_SEALING_KEY',
            "must be an X25519 key of 32 bytes, signed with the member's key",
          );
        store.members.setSealingKey(id, sealingKey, signature);
        return {};
      },
      async listRevocations({ after }, caller) {
        member(caller);
        const revocations = store.members.revocations(after, revocationsPage);
        return {
          revocations: revocations.map(({ number, revoked, signature }) => ({
            number,
            revoked: Buffer.from(revoked),
            signature: Buffer.from(signature),
          })),
        };
      },
    },
  };
}

function base64url(bytes: Uint8Array | undefined): string {
  return bytes === undefined ? '' : Buffer.from(bytes).toString('base64url');
}
