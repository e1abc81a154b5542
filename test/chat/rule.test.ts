import { describe, expect, test } from 'vitest';
import { maxOwnedRooms, maxSenders } from '../../services/chat/core/bounds.ts';
import { createChatState, isWritten, snapshotOf, stateOf } from '../../services/chat/core/chat-state.ts';
import type { Entry, Operation } from '../../services/chat/core/entry.ts';
import { applyEntry, type Meaning } from '../../services/chat/core/rule.ts';
import type { MemberId } from '../../services/lib/identity/member-id.ts';
import { alice, bob, carol, epoch, input, logged, message, written } from './entries.ts';

/** A log that grows: what each entry means, or why it is void. */
function createLog(isAuthentic = () => true) {
  const state = createChatState();
  let offset = 0;
  const append = (from: MemberId | undefined, entry: Entry | undefined): Meaning =>
    applyEntry(state, logged(offset++, from, entry), isAuthentic);
  const why = (from: MemberId | undefined, entry: Entry | undefined): string => {
    const meaning = append(from, entry);
    return meaning.kind === 'void' ? meaning.why : 'counts';
  };
  const counters = new Map<MemberId, number>();
  /** Said to alice, who owns epoch 1. @returns why not */
  const says = (sender: MemberId, operation: Operation): string | undefined => {
    if (!counters.has(sender)) {
      counters.set(sender, 2);
      append(alice, written(state.seq + 1, input(sender, 1, { kind: 'begin' })));
    }
    const counter = counters.get(sender) ?? 0;
    counters.set(sender, counter + 1);
    const meaning = append(alice, written(state.seq + 1, input(sender, counter, operation)));
    return meaning.kind === 'input' ? meaning.refusal : `void: ${meaning.kind === 'void' ? meaning.why : ''}`;
  };
  return { state, append, why, says };
}

describe('an EPOCH', () => {
  test('counts if it is the next one, whoever appends it: the first wins', () => {
    const { why, state } = createLog();
    expect(why(alice, epoch(1))).toBe('counts');
    expect(why(bob, epoch(1))).toBe('epoch');
    expect(why(bob, epoch(3))).toBe('epoch');
    expect(why(bob, epoch(2))).toBe('counts');
    expect(why(alice, epoch(2))).toBe('epoch');
    expect(state).toMatchObject({ epoch: 2, owner: bob, migrationId: 'm2', offset: 4 });
  });

  test('keeps the seq going', () => {
    const { why } = createLog();
    why(alice, epoch(1));
    expect(why(alice, written(1, input(carol, 1, { kind: 'begin' })))).toBe('counts');
    why(bob, epoch(2));
    expect(why(bob, written(1, input(carol, 2, { kind: 'join', room: 'lobby' }), 2))).toBe('repeat');
    expect(why(bob, written(2, input(carol, 2, { kind: 'join', room: 'lobby' }), 2))).toBe('counts');
  });
});

describe('another entry', () => {
  const begin = input(carol, 1, { kind: 'begin' });

  test.each<[string, MemberId | undefined, Entry | undefined]>([
    ['stale', alice, written(1, begin, 1)],
    ['early', bob, written(1, begin, 3)],
    ['not-owner', alice, written(1, begin, 2)],
    ['gap', bob, written(2, begin, 2)],
    ['repeat', bob, { kind: 'opens', epoch: 2, seq: 0 }],
    ['unreadable', bob, undefined],
    ['unreadable', undefined, written(1, begin, 2)],
    ['counter', bob, written(1, input(carol, 2, message('x')), 2)],
    ['counter', bob, written(1, input(carol, 1, message('x')), 2)],
    ['counter', bob, { kind: 'refused', epoch: 2, seq: 1, reason: 'rate', sender: carol, session: 7, counter: 1 }],
  ])('is void, being %s, and changes nothing but the offset', (reason, from, entry) => {
    const { why, state } = createLog();
    why(alice, epoch(1));
    why(bob, epoch(2));
    const before = snapshotOf(state);
    expect(why(from, entry)).toBe(reason);
    expect(snapshotOf(state)).toEqual({ ...before, offset: 2 });
  });

  test('is void if its sender has not signed what it does; a plain message is for whoever shows it to check', () => {
    let isAuthentic = true;
    const { why, says } = createLog(() => isAuthentic);
    why(alice, epoch(1));
    says(bob, { kind: 'join', room: 'lobby' });
    isAuthentic = false;
    expect(why(alice, written(3, input(bob, 3, { kind: 'leave', room: 'lobby' })))).toBe('forged');
    expect(why(alice, written(3, input(bob, 3, message('hello'))))).toBe('counts');
  });
});

describe('a sender', () => {
  test('is heard once for each counter, in order, in sessions that only rise', () => {
    const { why, state } = createLog();
    why(alice, epoch(1));
    const say = (session: number, counter: number): string =>
      why(
        alice,
        written(state.seq + 1, input(bob, counter, counter === 1 ? { kind: 'begin' } : message('x'), session)),
      );
    expect([say(5, 1), say(5, 2), say(5, 2), say(5, 4), say(5, 3)]).toEqual([
      ...['counts', 'counts', 'counter', 'counter', 'counts'],
    ]);
    expect([say(9, 2), say(9, 1), say(5, 4), say(8, 1), say(9, 2)]).toEqual([
      ...['counter', 'counts', 'counter', 'counter', 'counts'],
    ]);
    const place = { sender: bob, session: 5, counter: 3 };
    expect(isWritten(state, place)).toBe(true);
    expect(isWritten(state, { ...place, counter: 4 })).toBe(false);
    expect(isWritten(state, { ...place, session: 8 })).toBe(false);
  });

  test('goes on behind what was refused', () => {
    const { why, says } = createLog();
    why(alice, epoch(1));
    says(bob, { kind: 'join', room: 'lobby' });
    expect(why(alice, { kind: 'refused', epoch: 1, seq: 3, reason: 'rate', sender: bob, session: 7, counter: 3 })).toBe(
      'counts',
    );
    expect(why(alice, written(4, input(bob, 4, message('x'))))).toBe('counts');
  });

  test('is refused when the chat has all its members', () => {
    const { why, says, state } = createLog();
    why(alice, epoch(1));
    for (let at = 0; state.senders.size < maxSenders; at++)
      state.senders.set(`${at}` as MemberId, { session: 1, next: 2, lastSession: 0, lastNext: 0 });
    const meaning = applyEntry(state, logged(1, alice, written(1, input(bob, 1, { kind: 'begin' }))), () => true);
    expect(meaning).toMatchObject({ kind: 'input', refusal: 'full' });
    expect(says(carol, message('x'))).toBe('void: counter');
  });
});

describe('rooms', () => {
  function withLobby() {
    const log = createLog();
    log.append(alice, epoch(1));
    for (const member of [alice, bob]) log.says(member, { kind: 'join', room: 'lobby' });
    return log;
  }
  const tea = { room: 'tea' } as const;

  test('are created, named, joined and left; the last one who leaves ends one, but never the lobby', () => {
    const { says, state } = withLobby();
    expect(says(bob, { kind: 'create', ...tea, topic: 'green' })).toBeUndefined();
    expect(state.rooms.get('tea')).toMatchObject({ owner: bob, topic: 'green', members: new Set([bob]) });
    expect(says(carol, { kind: 'create', ...tea, topic: '' })).toBe('room-exists');
    expect(says(carol, { kind: 'create', room: 'Tea', topic: '' })).toBe('room-name');
    expect(says(carol, { kind: 'topic', ...tea, topic: 'black' })).toBe('not-owner');
    expect(says(carol, message('x', 'tea'))).toBe('not-in-room');
    expect(says(carol, { kind: 'leave', ...tea })).toBe('not-in-room');
    expect(says(carol, { kind: 'join', ...tea })).toBeUndefined();
    expect(says(carol, message('x', 'tea'))).toBeUndefined();
    expect(says(bob, { kind: 'topic', ...tea, topic: 'black' })).toBeUndefined();
    expect(state.rooms.get('tea')?.topic).toBe('black');
    for (const member of [bob, carol]) expect(says(member, { kind: 'leave', ...tea })).toBeUndefined();
    expect(says(carol, { kind: 'join', ...tea })).toBe('no-room');
    for (const member of [alice, bob]) says(member, { kind: 'leave', room: 'lobby' });
    expect(state.rooms.get('lobby')).toMatchObject({ owner: alice, members: new Set() });
  });

  test('have an owner, who kicks, mutes and gives', () => {
    const { says, state } = withLobby();
    const lobby = { room: 'lobby' } as const;
    expect(says(bob, { kind: 'kick', ...lobby, member: alice })).toBe('not-owner');
    expect(says(alice, { kind: 'mute', ...lobby, member: bob, isMuted: true })).toBeUndefined();
    expect(says(bob, message('x'))).toBe('muted');
    expect(says(bob, { kind: 'leave', ...lobby })).toBeUndefined();
    expect(says(bob, { kind: 'join', ...lobby })).toBeUndefined();
    expect(says(bob, message('x'))).toBe('muted');
    expect(says(alice, { kind: 'mute', ...lobby, member: bob, isMuted: false })).toBeUndefined();
    expect(says(bob, message('x'))).toBeUndefined();
    expect(says(alice, { kind: 'kick', ...lobby, member: carol })).toBe('not-a-member');
    expect(says(alice, { kind: 'kick', ...lobby, member: bob })).toBeUndefined();
    expect(says(bob, message('x'))).toBe('not-in-room');
    expect(says(alice, { kind: 'give', ...lobby, member: bob })).toBe('not-a-member');
    says(bob, { kind: 'join', ...lobby });
    expect(says(alice, { kind: 'give', ...lobby, member: bob })).toBeUndefined();
    expect(state.rooms.get('lobby')?.owner).toBe(bob);
  });

  test('are bounded in number', () => {
    const { says } = withLobby();
    for (let at = 0; at < maxOwnedRooms; at++)
      expect(says(bob, { kind: 'create', room: `r${at}`, topic: '' })).toBeUndefined();
    expect(says(bob, { kind: 'create', room: 'more', topic: '' })).toBe('too-many-rooms');
  });

  test('take what a newer program says for something that does nothing', () => {
    expect(withLobby().says(bob, { kind: 'unknown' })).toBe('unknown');
  });
});

test('a chat opens when enough are there, and stays open', () => {
  const { append, says, state } = createLog();
  append(alice, epoch(1, 2));
  says(bob, { kind: 'join', room: 'lobby' });
  expect(says(bob, message('x'))).toBe('not-open');
  append(alice, { kind: 'opens', epoch: 1, seq: state.seq + 1 });
  expect(says(bob, message('x'))).toBeUndefined();
  append(bob, epoch(2, 5));
  expect(state).toMatchObject({ isOpen: true, minN: 2 });
});

test('a state is the same after it was kept', () => {
  const { append, says, state } = createLog();
  append(alice, epoch(1));
  for (const member of [bob, carol]) says(member, { kind: 'join', room: 'lobby' });
  says(bob, { kind: 'create', room: 'tea', topic: 'green' });
  says(alice, { kind: 'mute', room: 'lobby', member: carol, isMuted: true });
  const snapshot = snapshotOf(state);
  expect(snapshotOf(stateOf(structuredClone(snapshot)))).toEqual(snapshot);
  expect(stateOf(snapshot)).toEqual(state);
});
