import { brokerAccountOf, type MemberId } from '../../lib/identity/member-id.ts';
import { rights } from '../rights.ts';
import type { AccountSpec } from './accounts.ts';

/** A daemon, and a few workers, each with two connections; and as many again that the broker does not know to be dead yet. */
const memberLimits = { connections: 32, channels: 512 };
const inviteLimits = { connections: 4, channels: 16 };

/** @param services whose jobs it may take @param hosts chats that it may serve */
export function memberAccount(
  id: MemberId,
  passwordHash: string,
  services: readonly string[],
  hosts: readonly string[] = [],
): AccountSpec {
  return {
    name: brokerAccountOf(id),
    passwordHash,
    rights: rights.member(id, { services, hosts }),
    limits: memberLimits,
  };
}

/** @param id of the invite, of one word */
export function inviteAccount(id: string, passwordHash: string): AccountSpec {
  const name = inviteAccountName(id);
  return { name, passwordHash, rights: rights.invite(name), limits: inviteLimits };
}

/** The broker account of an invite. */
export function inviteAccountName(inviteId: string): string {
  return `invite.${inviteId}`;
}
