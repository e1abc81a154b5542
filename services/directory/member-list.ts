import { type MemberId, shortId } from '../lib/identity/member-id.ts';
import type { MemberRow } from './member-store.ts';

/** A member as `warren members list` shows it. */
export interface ShownMember {
  readonly id: MemberId;
  readonly user: string;
  readonly services: readonly string[];
  readonly isActive: boolean;
  /** ISO 8601; undefined: it is not active. */
  readonly activeSince: string | undefined;
  /** `host:port`, best first; none: over the broker only. */
  readonly addresses: readonly string[];
  /** ISO 8601. */
  readonly joined: string;
  readonly certificateEnds: string;
  /** To the minute; undefined: never. */
  readonly lastSeen: string | undefined;
}

/** @param now milliseconds since 1970 */
export function shownMember(member: MemberRow, now: number): ShownMember {
  const { id, username, services, joinedAt, certificateEndsAt, seenAt, activeUntil, activeSince, addresses } = member;
  return {
    id,
    user: username,
    services,
    isActive: activeUntil > now,
    activeSince: activeUntil > now ? iso(activeSince) : undefined,
    addresses,
    joined: iso(joinedAt),
    certificateEnds: iso(certificateEndsAt),
    lastSeen: seenAt === 0 ? undefined : iso(seenAt),
  };
}

export function formatMembers(members: readonly ShownMember[]): string {
  if (members.length === 0) return 'no members\n';
  const rows = members.map(({ id, user, services, isActive, joined, certificateEnds, lastSeen }) => [
    shortId(id),
    user,
    services.join(',') || '-',
    joined.slice(0, 10),
    certificateEnds.slice(0, 10),
    lastSeen === undefined ? 'never' : `${lastSeen.slice(0, 16)}Z`,
    isActive ? 'active' : 'away',
  ]);
  const table = [['ID', 'USER', 'SERVICES', 'JOINED', 'CERTIFICATE ENDS', 'LAST SEEN', 'STATE'], ...rows];
  const widths = table[0]?.map((_, at) => Math.max(...table.map(row => row[at]?.length ?? 0))) ?? [];
  return table
    .map(
      row =>
        `${row
          .map((cell, at) => cell.padEnd(widths[at] ?? 0))
          .join('  ')
          .trimEnd()}\n`,
    )
    .join('');
}

function iso(at: number): string {
  return new Date(at).toISOString();
}
