import type { MemberId } from '../../lib/identity/member-id.ts';
import { lobby, maxSenders } from './bounds.ts';
import type { ChatState, SenderState } from './chat-state.ts';
import type { Entry, Input, InputPlace, Logged, RuleRefusal, ServerRefusal } from './entry.ts';
import { applyOperation } from './rooms.ts';

/**
 * Why an entry counts for nobody. `unreadable`: no entry. `epoch`: begins one that is not the next. `stale`: of an epoch that is over. `early`: of one
 * that has not begun. `not-owner`: not from its epoch's owner. `repeat`: that seq has been. `gap`: not the next seq. `counter`: not the sender's
 * next input. `forged`: its sender has not signed it.
 */
export type VoidReason =
  | 'unreadable'
  | 'epoch'
  | 'stale'
  | 'early'
  | 'not-owner'
  | 'repeat'
  | 'gap'
  | 'counter'
  | 'forged';

/** What an entry means to everybody. */
export type Meaning =
  | { readonly kind: 'void'; readonly why: VoidReason }
  | {
      readonly kind: 'epoch';
      readonly epoch: number;
      readonly owner: MemberId;
      /** Who owned the epoch before. */
      readonly before: MemberId | undefined;
      readonly migrationId: string;
    }
  /** With a refusal it is written, and does nothing: it is shown to its sender only. */
  | { readonly kind: 'input'; readonly seq: number; readonly input: Input; readonly refusal?: RuleRefusal }
  | ({ readonly kind: 'refused'; readonly seq: number; readonly reason: ServerRefusal } & InputPlace)
  | { readonly kind: 'opens'; readonly seq: number }
  | { readonly kind: 'checkpoint'; readonly seq: number };

/** The rule's own questions, apart so that it can be seen what comes of other answers. */
export interface LogRule {
  /** Whether an entry may begin that epoch. */
  isNextEpoch(state: ChatState, epoch: number): boolean;
  /** Why an entry of that epoch and appender counts for nobody. */
  problemOfEpoch(state: ChatState, epoch: number, from: MemberId): VoidReason | undefined;
  /** Whether an input counts there. */
  isInOrder(place: Place): boolean;
}

export const logRule: LogRule = {
  isNextEpoch: (state, epoch) => epoch === state.epoch + 1,
  problemOfEpoch(state, epoch, from) {
    if (epoch < state.epoch) return 'stale';
    if (epoch > state.epoch) return 'early';
    return from === state.owner ? undefined : 'not-owner';
  },
  isInOrder: place => place === 'next',
};

/**
 * Whether a member has signed what it is said to have. Of a plain message it need not be asked here: it changes nothing of what others may do, so whoever
 * shows it looks (`chat/signed.ts`), and a log can be followed as fast as it can be read.
 */
export type IsAuthentic = (input: Input) => boolean;

/** Applies the entry after the last one to the state, in place. */
export function applyEntry(
  state: ChatState,
  { offset, from, entry }: Logged,
  isAuthentic: IsAuthentic,
  rule: LogRule = logRule,
): Meaning {
  state.offset = offset;
  if (entry === undefined || from === undefined) return { kind: 'void', why: 'unreadable' };
  if (entry.kind === 'epoch') return beginEpoch(state, entry, from, rule);
  const { epoch, seq } = entry;
  const problem = rule.problemOfEpoch(state, epoch, from) ?? problemOfSeq(state, seq);
  if (problem !== undefined) return { kind: 'void', why: problem };
  switch (entry.kind) {
    case 'input': {
      const { input } = entry;
      const isBeginning = input.operation.kind === 'begin';
      if (!isInOrder(state, input, rule) || isBeginning !== (input.counter === 1))
        return { kind: 'void', why: 'counter' };
      if (input.operation.kind !== 'message' && !isAuthentic(input)) return { kind: 'void', why: 'forged' };
      state.seq = seq;
      const refusal = count(state, input) ?? applyOperation(state, input.sender, input.operation);
      return refusal === undefined ? { kind: 'input', seq, input } : { kind: 'input', seq, input, refusal };
    }
    case 'refused': {
      const { sender, session, counter, reason } = entry;
      // The beginning of a session is not refused: what comes after it would have no place.
      if (counter === 1 || !isInOrder(state, entry, rule)) return { kind: 'void', why: 'counter' };
      state.seq = seq;
      count(state, entry);
      return { kind: 'refused', seq, reason, sender, session, counter };
    }
    case 'opens':
      state.seq = seq;
      state.isOpen = true;
      return { kind: 'opens', seq };
    case 'checkpoint':
      state.seq = seq;
      return { kind: 'checkpoint', seq };
  }
}

function beginEpoch(
  state: ChatState,
  { epoch, migrationId, minN }: Extract<Entry, { kind: 'epoch' }>,
  owner: MemberId,
  rule: LogRule,
): Meaning {
  if (!rule.isNextEpoch(state, epoch)) return { kind: 'void', why: 'epoch' };
  const before = state.owner;
  if (before === undefined) {
    state.minN = minN;
    state.isOpen = minN === 0;
    state.senders.set(owner, { session: 0, next: 1, lastSession: 0, lastNext: 0 });
    state.rooms.set(lobby, { owner, topic: '', members: new Set(), muted: new Set() });
  }
  state.epoch = epoch;
  state.owner = owner;
  state.migrationId = migrationId;
  return { kind: 'epoch', epoch, owner, before, migrationId };
}

function problemOfSeq(state: ChatState, seq: number): VoidReason | undefined {
  if (seq <= state.seq) return 'repeat';
  return seq === state.seq + 1 ? undefined : 'gap';
}

function isInOrder(state: ChatState, input: InputPlace, rule: LogRule): boolean {
  return rule.isInOrder(placeOf(state.senders.get(input.sender), input));
}

/** Where an input stands to what its sender's are counted to. `over`: its session has ended. `repeat`: it is written. `next`. `ahead`: others come before it. */
export type Place = 'over' | 'repeat' | 'next' | 'ahead';

/**
 * @param known undefined: the sender has said nothing yet
 */
export function placeOf(
  known: Pick<SenderState, 'session' | 'next'> | undefined,
  { session, counter }: Pick<InputPlace, 'session' | 'counter'>,
): Place {
  if (known !== undefined && session < known.session) return 'over';
  const next = known?.session === session ? known.next : 1;
  if (counter < next) return 'repeat';
  return counter === next ? 'next' : 'ahead';
}

/** The sender's next one is written. */
function count({ senders }: ChatState, { sender, session, counter }: InputPlace): RuleRefusal | undefined {
  const known = senders.get(sender);
  if (known === undefined) {
    if (senders.size >= maxSenders) return 'full';
    senders.set(sender, { session, next: 2, lastSession: 0, lastNext: 0 });
  } else if (known.session === session) {
    known.next = counter + 1;
  } else {
    if (known.next > 2) {
      known.lastSession = known.session;
      known.lastNext = known.next;
    }
    known.session = session;
    known.next = 2;
  }
  return undefined;
}
