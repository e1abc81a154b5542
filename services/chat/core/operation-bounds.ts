import { isRoomName, maxFileName, maxMentions, maxText, maxTopic } from './bounds.ts';
import type { Operation } from './entry.ts';

const encoder = new TextEncoder();

/** Why nobody would take it, whoever says it; undefined: it is within all bounds. */
export function problemOf(operation: Operation): 'size' | 'room-name' | undefined {
  if (!('room' in operation)) return undefined;
  if (!isRoomName(operation.room)) return 'room-name';
  switch (operation.kind) {
    case 'message': {
      const { text, mentions, file } = operation;
      const isLarge = isLonger(text, maxText) || mentions.length > maxMentions;
      return isLarge || (file !== undefined && isLonger(file.name, maxFileName)) ? 'size' : undefined;
    }
    case 'create':
    case 'topic':
      return isLonger(operation.topic, maxTopic) ? 'size' : undefined;
    default:
      return undefined;
  }
}

/** In UTF-8, where a letter has three octets at most for each of its units. */
function isLonger(text: string, octets: number): boolean {
  if (text.length * 3 <= octets) return false;
  return text.length > octets || encoder.encode(text).length > octets;
}
