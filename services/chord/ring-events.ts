import { RingEvent as WireEvent } from '../../proto/gen/warren/chord/v1/events.ts';
import type { Delivery, Outgoing } from '../bus/bus.ts';
import { type MemberId, memberOfBrokerAccount } from '../lib/identity/member-id.ts';
import type { AddressBook } from './address-book.ts';
import type { RingEvent } from './ports.ts';
import { decodeAddresses, decodeMember, peerOf } from './wire.ts';

export interface RingStats {
  readonly successors: number;
  readonly isSafe: boolean;
  readonly records: number;
  readonly octets: number;
}

/** Who tells is the member of the bus. */
export function encodeEvent(event: RingEvent, book: AddressBook, own: MemberId): Outgoing {
  const teller = event.type === 'suspect' ? event.by : event.node;
  return messageOf({ index: teller.index, addresses: book.own(), event: caseOf(event) }, own);
}

export function encodeStats(stats: RingStats, book: AddressBook, own: MemberId): Outgoing {
  return messageOf({ index: 0, addresses: book.own(), event: { $case: 'ringStats', value: stats } }, own);
}

function messageOf(event: WireEvent, own: MemberId): Outgoing {
  return { type: 'warren.chord.v1.RingEvent', key: own, body: WireEvent.encode(event).finish() };
}

function caseOf(event: RingEvent): WireEvent['event'] {
  switch (event.type) {
    case 'joined':
      return { $case: 'joined', value: {} };
    case 'leaving':
      return { $case: 'leaving', value: {} };
    case 'suspect':
      return {
        $case: 'suspect',
        value: { member: Buffer.from(event.node.member, 'hex'), index: event.node.index },
      };
    case 'moved-keys':
      return { $case: 'movedKeys', value: { count: event.count } };
  }
}

/** @returns undefined for what says nothing about a repair: figures, and whatever is false or misshapen */
export function decodeEvent(
  { type, key, body, userId }: Pick<Delivery, 'type' | 'key' | 'body' | 'userId'>,
  book: AddressBook,
): RingEvent | undefined {
  const member = memberOfBrokerAccount(userId ?? '');
  // The broker has checked the account; the key is what rights are given by.
  if (type !== 'warren.chord.v1.RingEvent' || member === undefined || member !== key) return undefined;
  try {
    const { index, addresses, event } = WireEvent.decode(body);
    const node = peerOf(member, index, decodeAddresses(addresses));
    book.heard(member, addresses);
    switch (event?.$case) {
      case 'joined':
      case 'leaving':
        return { type: event.$case, node };
      case 'suspect': {
        const { value } = event;
        return { type: 'suspect', node: peerOf(decodeMember(value.member), value.index, ''), by: node };
      }
      case 'movedKeys':
        return { type: 'moved-keys', node, count: event.value.count };
      default:
        return undefined;
    }
  } catch {
    return undefined;
  }
}
