import type { MemberId } from '../../lib/identity/member-id.ts';
import { isRoomName, lobby, maxOwnedRooms, maxRooms } from './bounds.ts';
import type { ChatState, Room } from './chat-state.ts';
import type { Operation, RuleRefusal } from './entry.ts';

/**
 * Does what a member says to the rooms.
 * @returns why not, if it may not; then nothing has changed
 */
export function applyOperation(state: ChatState, sender: MemberId, operation: Operation): RuleRefusal | undefined {
  switch (operation.kind) {
    case 'begin':
      return undefined;
    case 'unknown':
    case 'oversized':
      return 'unknown';
    case 'create':
      return create(state, sender, operation.room, operation.topic);
  }
  const room = state.rooms.get(operation.room);
  if (room === undefined) return 'no-room';
  switch (operation.kind) {
    case 'message':
      if (!state.isOpen) return 'not-open';
      if (!room.members.has(sender)) return 'not-in-room';
      return room.muted.has(sender) ? 'muted' : undefined;
    case 'join':
      room.members.add(sender);
      return undefined;
    case 'leave':
      if (!room.members.delete(sender)) return 'not-in-room';
      endIfEmpty(state, operation.room, room);
      return undefined;
  }
  if (room.owner !== sender) return 'not-owner';
  switch (operation.kind) {
    case 'topic':
      room.topic = operation.topic;
      return undefined;
    case 'kick':
      if (!room.members.delete(operation.member)) return 'not-a-member';
      endIfEmpty(state, operation.room, room);
      return undefined;
    case 'mute':
      if (!operation.isMuted) return room.muted.delete(operation.member) ? undefined : 'not-a-member';
      if (!room.members.has(operation.member)) return 'not-a-member';
      room.muted.add(operation.member);
      return undefined;
    case 'give':
      if (!room.members.has(operation.member)) return 'not-a-member';
      room.owner = operation.member;
      return undefined;
  }
}

/** Its creator owns it and is in it. */
function create(state: ChatState, owner: MemberId, name: string, topic: string): RuleRefusal | undefined {
  const { rooms } = state;
  if (!isRoomName(name)) return 'room-name';
  if (rooms.has(name)) return 'room-exists';
  if (rooms.size >= maxRooms) return 'too-many-rooms';
  let owned = 0;
  for (const room of rooms.values()) if (room.owner === owner) owned++;
  if (owned >= maxOwnedRooms) return 'too-many-rooms';
  rooms.set(name, { owner, topic, members: new Set([owner]), muted: new Set() });
  return undefined;
}

function endIfEmpty({ rooms }: ChatState, name: string, { members }: Room): void {
  if (members.size === 0 && name !== lobby) rooms.delete(name);
}
