import type { MemberId } from '../../lib/identity/member-id.ts';
import type { InputPlace } from './entry.ts';

/** All that follows from a log up to an offset. Changed in place by the rule (`rule.ts`) and by nobody else. */
export interface ChatState {
  /** Of the last entry applied; -1: none. */
  offset: number;
  /** 0: nobody has owned it yet. */
  epoch: number;
  owner: MemberId | undefined;
  migrationId: string;
  /** Of the last entry that counts. */
  seq: number;
  minN: number;
  isOpen: boolean;
  readonly senders: Map<MemberId, SenderState>;
  readonly rooms: Map<string, Room>;
}

export interface SenderState {
  session: number;
  /** The counter that counts next. */
  next: number;
  /** The last session before, in which anything but its beginning was written; 0: none. */
  lastSession: number;
  lastNext: number;
}

export interface Room {
  owner: MemberId;
  topic: string;
  readonly members: Set<MemberId>;
  readonly muted: Set<MemberId>;
}

/** A state to keep or send: plain, and always in the same order, so that equal states have equal snapshots. */
export interface Snapshot {
  readonly offset: number;
  readonly epoch: number;
  readonly owner: MemberId | undefined;
  readonly migrationId: string;
  readonly seq: number;
  readonly minN: number;
  readonly isOpen: boolean;
  /** By member. */
  readonly senders: readonly (Readonly<SenderState> & { readonly member: MemberId })[];
  /** By name. */
  readonly rooms: readonly {
    readonly name: string;
    readonly owner: MemberId;
    readonly topic: string;
    readonly members: readonly MemberId[];
    readonly muted: readonly MemberId[];
  }[];
}

export function createChatState(): ChatState {
  return {
    ...{ offset: -1, epoch: 0, owner: undefined, migrationId: '', seq: 0, minN: 0, isOpen: false },
    ...{ senders: new Map(), rooms: new Map() },
  };
}

export function snapshotOf(state: ChatState): Snapshot {
  const { offset, epoch, owner, migrationId, seq, minN, isOpen, senders, rooms } = state;
  return {
    ...{ offset, epoch, owner, migrationId, seq, minN, isOpen },
    senders: [...senders].sort(byKey).map(([member, sender]) => ({ member, ...sender })),
    rooms: [...rooms].sort(byKey).map(([name, { owner, topic, members, muted }]) => ({
      ...{ name, owner, topic },
      ...{ members: [...members].sort(), muted: [...muted].sort() },
    })),
  };
}

export function stateOf(snapshot: Snapshot): ChatState {
  const { senders, rooms, ...rest } = snapshot;
  return {
    ...rest,
    senders: new Map(senders.map(({ member, ...sender }) => [member, sender])),
    rooms: new Map(
      rooms.map(({ name, owner, topic, members, muted }) => [
        name,
        { owner, topic, members: new Set(members), muted: new Set(muted) },
      ]),
    ),
  };
}

/** Whether an input has been written, as far as a state knows: of a member’s session before the last one with anything in it, it does not. */
export function isWritten(state: ChatState, { sender, session, counter }: InputPlace): boolean {
  const known = state.senders.get(sender);
  if (known === undefined) return false;
  if (session === known.session) return counter < known.next;
  return session === known.lastSession && counter < known.lastNext;
}

function byKey(one: readonly [string, unknown], other: readonly [string, unknown]): number {
  return one[0] < other[0] ? -1 : 1;
}
