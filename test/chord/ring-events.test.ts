import { expect, test } from 'vitest';
import { AddressBook } from '../../services/chord/address-book.ts';
import type { RingEvent } from '../../services/chord/ports.ts';
import { decodeEvent, encodeEvent, encodeStats } from '../../services/chord/ring-events.ts';
import { peerOf } from '../../services/chord/wire.ts';
import { brokerAccountOf, type MemberId } from '../../services/lib/identity/member-id.ts';

const own = 'a'.repeat(64) as MemberId;
const other = 'b'.repeat(64) as MemberId;
const book = new AddressBook(own, () => ['10.0.0.1:50051']);
const node = peerOf(own, 2, '10.0.0.1:50051');

/** As the broker brings it. */
function arrived(message: ReturnType<typeof encodeEvent>, changes: { userId?: string; key?: string } = {}) {
  const { type, key, body } = message;
  return { type, key, body: Buffer.from(body), userId: brokerAccountOf(own), ...changes };
}

test.each<RingEvent>([
  { type: 'joined', node },
  { type: 'leaving', node },
  { type: 'suspect', node: peerOf(other, 1, ''), by: node },
  { type: 'moved-keys', node, count: 7 },
])('an event says of its member: $type', event => {
  expect(decodeEvent(arrived(encodeEvent(event, book, own)), new AddressBook(other, () => []))).toEqual(event);
});

test('where its member can be dialled is known from then on', () => {
  const heard = new AddressBook(other, () => []);
  decodeEvent(arrived(encodeEvent({ type: 'joined', node }, book, own)), heard);
  expect(heard.of({ member: own, address: '' })).toEqual(['10.0.0.1:50051']);
});

test('what another account says in a member’s name counts for nothing, nor what is garbage, nor figures', () => {
  const joined = encodeEvent({ type: 'joined', node }, book, own);
  const heard = new AddressBook(other, () => []);
  const decode = (delivery: Parameters<typeof decodeEvent>[0]) => decodeEvent(delivery, heard);
  expect(decode(arrived(joined, { userId: brokerAccountOf(other) }))).toBeUndefined();
  expect(decode(arrived(joined, { key: other }))).toBeUndefined();
  expect(decode(arrived(joined, { userId: 'directory' }))).toBeUndefined();
  expect(decode({ ...arrived(joined), userId: undefined })).toBeUndefined();
  expect(decode({ ...arrived(joined), type: 'warren.peer.v1.TransferEvent' })).toBeUndefined();
  expect(decode({ ...arrived(joined), body: Buffer.from('garbage') })).toBeUndefined();
  expect(heard.of({ member: own, address: '' })).toEqual([]);
  const stats = encodeStats({ successors: 1, isSafe: false, records: 2, octets: 3 }, book, own);
  expect(decode(arrived(stats))).toBeUndefined();
});
