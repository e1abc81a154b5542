import type { Checkpoint, CheckpointRoom } from '../../proto/gen/warren/chat/v1/log.ts';
import type { MemberId } from '../lib/identity/member-id.ts';
import { isRoomName, maxRooms, maxSenders, maxTopic } from './core/bounds.ts';
import type { Snapshot } from './core/chat-state.ts';
import { decodeMember, encodeMember, isMigrationId } from './octets.ts';

/** A state as it goes into the log and over the wire: whoever is in a room is named by the place in the list of senders. */
export function encodeCheckpoint({ senders, rooms, owner, ...rest }: Snapshot): Checkpoint {
  const placeOf = new Map(senders.map(({ member }, place) => [member, place]));
  const places = (members: readonly MemberId[]): number[] =>
    members.map(member => placeOf.get(member) ?? -1).filter(place => place >= 0);
  return {
    ...rest,
    owner: owner === undefined ? Buffer.alloc(0) : encodeMember(owner),
    senders: senders.map(({ member, ...counts }) => ({ member: encodeMember(member), ...counts })),
    rooms: rooms.map(room => ({
      ...{ name: room.name, topic: room.topic, owner: placeOf.get(room.owner) ?? 0 },
      ...{ members: places(room.members), muted: places(room.muted) },
    })),
  };
}

/** @returns undefined: it breaks a bound */
export function decodeCheckpoint({ senders, rooms, owner: octets, ...rest }: Checkpoint): Snapshot | undefined {
  if (senders.length > maxSenders || rooms.length > maxRooms || rest.epoch < 1 || !isMigrationId(rest.migrationId))
    return undefined;
  const owner = decodeMember(octets);
  if (owner === undefined) return undefined;
  const members: MemberId[] = [];
  const decodedSenders: Snapshot['senders'][number][] = [];
  for (const { member: each, ...counts } of senders) {
    const member = decodeMember(each);
    if (member === undefined) return undefined;
    members.push(member);
    decodedSenders.push({ member, ...counts });
  }
  const decodedRooms: Snapshot['rooms'][number][] = [];
  for (const room of rooms) {
    const decoded = decodeRoom(room, members);
    if (decoded === undefined) return undefined;
    decodedRooms.push(decoded);
  }
  return { ...rest, owner, senders: decodedSenders, rooms: decodedRooms };
}

function decodeRoom(room: CheckpointRoom, known: readonly MemberId[]): Snapshot['rooms'][number] | undefined {
  const { name, topic, owner: place } = room;
  const owner = known[place];
  if (owner === undefined || !isRoomName(name) || Buffer.byteLength(topic) > maxTopic) return undefined;
  if (room.members.length > known.length || room.muted.length > known.length) return undefined;
  const named = (places: readonly number[]): MemberId[] => places.flatMap(each => known[each] ?? []);
  return { name, owner, topic, members: named(room.members), muted: named(room.muted) };
}
