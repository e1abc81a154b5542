import { ContactServiceDefinition } from '../../../proto/gen/warren/member/v1/member.ts';
import type { Bus } from '../../bus/bus.ts';
import { createClient } from '../../bus/calls.ts';
import { rpcKey } from '../../bus/own-keys.ts';
import type { ShownMember } from '../../directory/member-list.ts';
import { messageOf } from '../../lib/failure.ts';
import { brokerAccountOf, type MemberId } from '../../lib/identity/member-id.ts';

/** A member as `warren status` shows it: as `warren members list`, and how it answers. */
export interface SeenMember extends ShownMember {
  /** The one of this home. */
  readonly isSelf: boolean;
  readonly contact?: Contact;
  /** Why an active one did not answer. */
  readonly problem?: string;
}

export interface Contact {
  /** What its owner calls it. */
  readonly name: string;
  /** `direct`, `broker`. */
  readonly way: string;
  /** `host:port`, or `broker`. */
  readonly address: string;
  readonly latencyMs: number;
}

/** Asks a member how it is. @throws Error with the reason */
export type Ask = (member: ShownMember, signal: AbortSignal) => Promise<Contact>;

const atOnce = 16;
/** Of many, the first so many: the others are shown as the directory knows them. */
const asked = 200;
/** For all of them, in milliseconds. */
const patienceMs = 4_000;

/** Asks all active members how they are, some at a time, within some seconds. */
export async function contactAll(
  members: readonly ShownMember[],
  ask: Ask,
  self?: MemberId,
): Promise<readonly SeenMember[]> {
  const signal = AbortSignal.timeout(patienceMs);
  const seen = new Map<string, Pick<SeenMember, 'contact' | 'problem'>>();
  const waiting = members.filter(({ isActive }) => isActive).slice(0, asked);
  const work = async (): Promise<void> => {
    for (let member = waiting.shift(); member !== undefined && !signal.aborted; member = waiting.shift()) {
      try {
        seen.set(member.id, { contact: await ask(member, signal) });
      } catch (error) {
        seen.set(member.id, { problem: signal.aborted ? 'no answer in time' : messageOf(error) });
      }
    }
  };
  await Promise.all(Array.from({ length: atOnce }, work));
  return members.map(member => ({ ...member, isSelf: member.id === self, ...seen.get(member.id) }));
}

/** Through the broker, each in one message. */
export function askOverBus(bus: Bus): Ask {
  return async ({ id }, signal) => {
    const account = brokerAccountOf(id);
    const client = createClient(bus, rpcKey(account), ContactServiceDefinition, { from: account });
    const sentAt = performance.now();
    const { name } = await client.ping({}, { deadlineMs: patienceMs, signal });
    return { name, way: 'broker', address: 'broker', latencyMs: performance.now() - sentAt };
  };
}
