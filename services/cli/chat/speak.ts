import type { ChangeRoomRequest } from '../../../proto/gen/warren/chat/v1/chat.ts';
import { Failure } from '../../lib/failure.ts';
import { jsonLine } from '../visible.ts';
import type { Asked } from './chat-call.ts';
import { formatConversation, formatDirect, formatEvent, formatMessage, formatRoom } from './texts.ts';

export const lobby = 'lobby';
const patience = { deadlineMs: 15_000 };

export async function send({ given, chat, io, stop }: Asked): Promise<void> {
  const text = given.words.join(' ');
  const room = given.one('--room') ?? lobby;
  const mentions = [...given.all('--mention')];
  const request = { room, text, mentions, file: fileIn(given.one('--file')), isAwaited: true };
  const { seq } = await chat.sendMessage(request, { ...patience, signal: stop });
  if (given.has('--json')) io.out(jsonLine({ room, seq }));
}

/** `ID`, or `ID:NAME`. */
export function fileIn(text: string | undefined) {
  if (text === undefined) return undefined;
  const [fileId = '', ...rest] = text.split(':');
  return { fileId, name: rest.join(':') || fileId.slice(0, 12), size: 0 };
}

/** Until it is stopped. */
export async function tail({ given, chat, io, stop }: Asked): Promise<void> {
  const only = given.one('--room');
  for await (const response of chat.watchChat({}, { signal: stop })) {
    const { event } = response;
    if (only !== undefined && !(event?.$case === 'message' && event.value.room === only)) continue;
    if (given.has('--json')) io.out(jsonLine({ event: event?.$case, ...event?.value }));
    else io.out(formatEvent(response) ?? '');
  }
}

export async function rooms({ given, chat, io, stop }: Asked): Promise<void> {
  const { rooms: all } = await chat.listRooms({}, { signal: stop });
  for (const room of all) io.out(given.has('--json') ? jsonLine(room) : formatRoom(room));
  if (all.length === 0 && !given.has('--json')) io.out('no rooms: nobody has begun the chat yet\n');
}

export async function history({ given, chat, io, stop }: Asked): Promise<void> {
  const [before, limit] = [numberIn(given.one('--before'), '--before'), numberIn(given.one('--limit'), '--limit')];
  const request = { room: given.one('--room') ?? lobby, before, after: 0, limit, words: given.words.join(' ') };
  const { messages } = await chat.listMessages(request, { signal: stop });
  for (const message of messages) io.out(given.has('--json') ? jsonLine(message) : formatMessage(message));
}

/** Writes to an account; without text shows what was written, and without an account with whom. */
export async function dm({ given, direct, io, stop }: Asked): Promise<void> {
  const [to, ...words] = given.words;
  const isJson = given.has('--json');
  const options = { signal: stop };
  if (to === undefined) {
    const { conversations } = await direct.listConversations({}, options);
    for (const each of conversations) io.out(isJson ? jsonLine(each) : formatConversation(each));
  } else if (words.length === 0) {
    const { messages } = await direct.listDirect({ with: to, before: 0, limit: 0 }, options);
    for (const message of messages) io.out(isJson ? jsonLine(message) : formatDirect(message));
    await direct.markRead({ with: to }, options);
  } else {
    const { message } = await direct.sendDirect({ to, body: words.join(' ') }, options);
    if (isJson) io.out(jsonLine(message));
  }
}

/** A change of a room that stands in the log. */
export function change(of: (given: Asked['given']) => ChangeRoomRequest): (asked: Asked) => Promise<void> {
  return async ({ given, chat, io, stop }) => {
    const request = of(given);
    await chat.changeRoom(request, { ...patience, signal: stop });
    if (given.has('--json')) io.out(jsonLine({ room: request.room, done: request.change?.$case }));
  };
}

function numberIn(text: string | undefined, flag: string): number {
  const value = text === undefined ? 0 : Number(text);
  if (!Number.isSafeInteger(value) || value < 0) throw new Failure('CONFIG', `${flag} must be a whole number`);
  return value;
}
