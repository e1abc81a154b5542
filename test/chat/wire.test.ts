import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  Entry as EntryMessage,
  Input as InputMessage,
  type Message,
  Said as SaidMessage,
} from '../../proto/gen/warren/chat/v1/log.ts';
import { maxRooms, maxSenders } from '../../services/chat/core/bounds.ts';
import { createChatState, type Snapshot, snapshotOf } from '../../services/chat/core/chat-state.ts';
import type { Entry, Input, Operation } from '../../services/chat/core/entry.ts';
import type { HandOverStep } from '../../services/chat/core/hand-over.ts';
import { decodeHandOver, encodeHandOver } from '../../services/chat/hand-over-wire.ts';
import { isAuthentic, signInput } from '../../services/chat/signed.ts';
import { decodeEntry, decodeInput, encodeEntry, encodeInput, encodeSaid } from '../../services/chat/wire.ts';
import { createMemberKeys, signAs } from '../../services/lib/identity/keys.ts';
import type { MemberId } from '../../services/lib/identity/member-id.ts';
import { alice, bob } from './entries.ts';

const chat = 'backend.com';
const keys = createMemberKeys();
const file = { fileId: 'f'.repeat(64), name: 'notes.txt', size: 12 };

const operations: Operation[] = [
  { kind: 'begin' },
  { kind: 'message', room: 'lobby', text: 'hällo', mentions: [alice, bob], file },
  { kind: 'message', room: 'lobby', text: '', mentions: [] },
  { kind: 'create', room: 'tea', topic: 'green' },
  { kind: 'join', room: 'tea' },
  { kind: 'leave', room: 'tea' },
  { kind: 'topic', room: 'tea', topic: 'black' },
  { kind: 'kick', room: 'tea', member: bob },
  { kind: 'mute', room: 'tea', member: bob, isMuted: true },
  { kind: 'give', room: 'tea', member: bob },
  { kind: 'unknown' },
];

function said(operation: Operation) {
  return { sender: keys.id, session: 2 ** 40, counter: 3, sentAtMs: 1_700_000_000_000, operation };
}

/** Signed as it should be, and yet … */
function encodeForged(changes: Partial<SaidMessage>): Uint8Array {
  const message = SaidMessage.decode(encodeSaid(chat, said({ kind: 'begin' })));
  const bytes = SaidMessage.encode({ ...message, ...changes }).finish();
  const proof = { said: bytes, publicKey: keys.publicKey, signature: signAs(keys, 'warren.chat.v1.Said', bytes) };
  return encodeInput(proof);
}

const text = { room: 'tea', text: '', mentions: [] as Buffer[] };

function does(value: Message): Partial<SaidMessage> {
  return { operation: { $case: 'message', value } };
}

describe('an input', () => {
  test.each(operations.map(operation => [operation.kind, operation] as const))(
    'that is to %s arrives',
    (_, operation) => {
      const input = signInput(keys, chat, said(operation));
      const arrived = decodeInput(encodeInput(input.proof), chat);
      expect(arrived).toMatchObject(said(operation));
      expect(arrived && isAuthentic(arrived)).toBe(true);
    },
  );

  test('counts in its chat only, with its own signature only', () => {
    const input = signInput(keys, chat, said({ kind: 'begin' }));
    expect(decodeInput(encodeInput(input.proof), 'other.com')).toBeUndefined();
    const { signature } = signInput(keys, chat, { ...said({ kind: 'begin' }), counter: 4 }).proof;
    expect(isAuthentic({ ...input, proof: { ...input.proof, signature } })).toBe(false);
    expect(isAuthentic({ ...input, sender: alice })).toBe(false);
    const other = createMemberKeys();
    expect(isAuthentic({ ...input, proof: { ...input.proof, publicKey: other.publicKey } })).toBe(false);
  });

  test.each<[string, Partial<SaidMessage>]>([
    ['a sender that is none', { sender: Buffer.alloc(31) }],
    ['counter 0', { counter: 0 }],
    ['session 0', { session: 0 }],
    ['a mention of nobody', does({ ...text, mentions: [Buffer.alloc(3)] })],
    ['a file of no id', does({ ...text, file: { ...file, fileId: 'x' } })],
    ['nobody to kick', { operation: { $case: 'kick', value: { room: 'tea', member: Buffer.alloc(0) } } }],
  ])('with %s is none', (_, changes) => {
    expect(decodeInput(encodeForged({}), chat)).toBeDefined();
    expect(decodeInput(encodeForged(changes), chat)).toBeUndefined();
  });

  /** Whoever says it is to hear that it is refused; in a log it cannot stand. */
  test.each<[string, Partial<SaidMessage>]>([
    ['a room of no name', does({ ...text, room: '' })],
    ['a room of another form', does({ ...text, room: 'Ｌobby' })],
    ['a room of 33 letters', does({ ...text, room: 'x'.repeat(33) })],
    ['a topic of 513 octets', { operation: { $case: 'topic', value: { room: 'tea', topic: `${'é'.repeat(256)}x` } } }],
    ['a text of 8,193 octets', does({ ...text, text: 'x'.repeat(8_193) })],
    ['17 mentions', does({ ...text, mentions: Array(17).fill(Buffer.alloc(32)) })],
    ['a file of too long a name', does({ ...text, file: { ...file, name: 'x'.repeat(256) } })],
  ])('with %s is oversized, and no entry', (_, changes) => {
    const input = decodeInput(encodeForged(changes), chat);
    expect(input?.operation).toEqual({ kind: 'oversized' });
    const entry = encodeEntry({ kind: 'input', epoch: 1, seq: 1, input: input as Input }, 0);
    expect(decodeEntry(entry, chat)).toBeUndefined();
  });

  test('of any octets at all is none, or a sound one', () => {
    const input = encodeInput(signInput(keys, chat, said(operations[1] as Operation)).proof);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.nat(input.length - 1), fc.nat(255), (octets, at, octet) => {
        decodeInput(octets, chat);
        decodeEntry(octets, chat);
        decodeHandOver(octets, chat);
        const changed = Uint8Array.from(input);
        changed[at] = octet;
        const decoded = decodeInput(changed, chat);
        if (decoded !== undefined && octet !== input[at]) expect(isAuthentic(decoded)).toBe(false);
      }),
      { numRuns: 500 },
    );
  });
});

/** With rooms that everybody is in. */
function snapshot(senders: number, rooms: number): Snapshot {
  const state = createChatState();
  const members = Array.from({ length: senders }, (_, at) => at.toString(16).padStart(64, '0') as MemberId);
  for (const member of members)
    state.senders.set(member, { session: 2 ** 52, next: 1_000_000, lastSession: 2 ** 51, lastNext: 7 });
  for (let at = 0; at < rooms; at++)
    state.rooms.set(`room-${at}`, {
      ...{ owner: members[at] as MemberId, topic: 'x'.repeat(512) },
      ...{ members: new Set(members), muted: new Set(members.slice(0, 3)) },
    });
  Object.assign(state, { offset: 12, epoch: 3, owner: members[1], migrationId: 'm.1', seq: 9, isOpen: true, minN: 2 });
  return snapshotOf(state);
}

describe('an entry', () => {
  const input = signInput(keys, chat, said({ kind: 'join', room: 'tea' }));

  test.each<Entry>([
    { kind: 'epoch', epoch: 7, migrationId: 'a.1', minN: 3 },
    { kind: 'input', epoch: 7, seq: 2, input },
    { kind: 'refused', epoch: 7, seq: 2, reason: 'rate', sender: alice, session: 4, counter: 9 },
    { kind: 'opens', epoch: 7, seq: 1 },
    { kind: 'checkpoint', epoch: 7, seq: 1, snapshot: snapshot(5, 2) },
  ])('of kind $kind arrives', entry => {
    const arrived = decodeEntry(encodeEntry(entry, 5), chat);
    expect(arrived?.atMs).toBe(5);
    expect(arrived?.entry).toMatchObject(
      entry.kind === 'input' ? { epoch: 7, seq: 2, input: said({ kind: 'join', room: 'tea' }) } : entry,
    );
  });

  test.each<[string, Parameters<typeof EntryMessage.encode>[0]]>([
    ['of no kind', { epoch: 1, seq: 1, atMs: 0, entry: undefined }],
    ['of epoch 0', { epoch: 0, seq: 1, atMs: 0, entry: { $case: 'opens', value: {} } }],
    ['of seq 0', { epoch: 1, seq: 0, atMs: 0, entry: { $case: 'opens', value: {} } }],
    [
      'with a migration that is none',
      { epoch: 1, seq: 0, atMs: 0, entry: { $case: 'epochBegins', value: { migrationId: 'a b', minN: 0 } } },
    ],
    [
      'with a refusal for no reason',
      {
        epoch: 1,
        seq: 1,
        atMs: 0,
        entry: { $case: 'refused', value: { sender: Buffer.alloc(32), session: 1, counter: 2, reason: 0 } },
      },
    ],
  ])('%s is none', (_, message) => {
    expect(decodeEntry(EntryMessage.encode(message).finish(), chat)).toBeUndefined();
  });

  test('with the largest checkpoint there can be still fits', () => {
    const largest: Entry = { kind: 'checkpoint', epoch: 7, seq: 1, snapshot: snapshot(maxSenders, maxRooms) };
    const octets = encodeEntry(largest, 0);
    expect(octets.length).toBeLessThan(3 * 1024 * 1024);
    expect(decodeEntry(octets, chat)?.entry).toEqual(largest);
  });

  test('with a checkpoint that names somebody it does not list is none', () => {
    const checkpoint = EntryMessage.decode(
      encodeEntry({ kind: 'checkpoint', epoch: 7, seq: 1, snapshot: snapshot(2, 1) }, 0),
    );
    const value = checkpoint.entry?.$case === 'checkpoint' ? checkpoint.entry.value : undefined;
    const room = value?.rooms[0];
    if (room) room.owner = 2;
    expect(decodeEntry(EntryMessage.encode(checkpoint).finish(), chat)).toBeUndefined();
  });
});

test.each<HandOverStep>([
  ...([{ kind: 'stand-by' }, { kind: 'standing' }, { kind: 'ready' }] as const),
  { kind: 'offer', snapshot: snapshot(3, 1) },
  { kind: 'declined', reason: 'it is void' },
  { kind: 'frozen', lastSeq: 44 },
])('a hand-over’s $kind arrives, in its chat', step => {
  const message = { epoch: 4, migrationId: 'm.4', step };
  expect(decodeHandOver(encodeHandOver(chat, message), chat)).toEqual(message);
  expect(decodeHandOver(encodeHandOver(chat, message), 'other.com')).toBeUndefined();
});

test('an input is read whatever follows it, as fields are only added', () => {
  const { proof } = signInput(keys, chat, said({ kind: 'begin' }));
  const longer = Buffer.concat([encodeInput(proof), Buffer.from([0xa0, 0x06, 0x01])]);
  expect(InputMessage.decode(longer).said).toEqual(Buffer.from(proof.said));
  expect(decodeInput(longer, chat)).toBeDefined();
});
