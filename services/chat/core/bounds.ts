/** What a chat takes from strangers, and no more. */

/** Octets of what is signed. */
export const maxSaid = 16 * 1024;
/** Octets of a text, in UTF-8. */
export const maxText = 8 * 1024;
/** Octets of a topic, in UTF-8. */
export const maxTopic = 512;
export const maxMentions = 16;
/** Octets of a shared file's name. */
export const maxFileName = 255;
/** Octets of the chat's name. */
export const maxChatName = 253;
/** Letters of a migration's id. */
export const maxMigrationId = 64;
/** Members that have ever said anything. */
export const maxSenders = 4096;
export const maxRooms = 256;
/** Rooms that one member owns. */
export const maxOwnedRooms = 16;
/** Octets of an entry of the log, so of a checkpoint above all. */
export const maxEntry = 4 * 1024 * 1024;
/**
 * Inputs of one session that may be on their way at once: how many a client publishes before it has seen the first of them in the log, and how
 * far ahead of the next one a server holds them.
 */
export const sessionWindow = 64;

/** The room that a chat has from its beginning. */
export const lobby = 'lobby';

/** Most are, and are in NFKC then. */
const plainName = /^[a-z0-9][a-z0-9._-]{0,31}$/;
const roomName = /^[\p{L}\p{N}][\p{L}\p{N}._-]{0,31}$/u;

export function isRoomName(name: string): boolean {
  if (plainName.test(name)) return true;
  return name.length <= 64 && roomName.test(name) && name.normalize('NFKC').toLowerCase() === name;
}
