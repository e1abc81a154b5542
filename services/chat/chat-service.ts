import type {
  ChangeRoomRequest,
  ChatServiceDefinition,
  GetChatResponse,
  SendMessageRequest,
  WatchChatResponse,
} from '../../proto/gen/warren/chat/v1/chat.ts';
import { isMemberId, type MemberId } from '../lib/identity/member-id.ts';
import { CallFailure } from '../lib/rpc/call-failure.ts';
import type { Caller, Handlers } from '../lib/rpc/definition.ts';
import type { ChatEvent, ChatView } from './chat-view.ts';
import { isRoomName, maxFileName, maxMentions, maxText, maxTopic } from './core/bounds.ts';
import { type Operation, refusals } from './core/entry.ts';
import type { History } from './history/history.ts';
import type { LiveChannel } from './live.ts';
import type { MemberNames } from './member-names.ts';
import type { ChatNode } from './node/chat-node.ts';

export interface ChatServiceNeeds {
  readonly chat: string;
  readonly node: ChatNode;
  readonly view: ChatView;
  readonly history: History;
  readonly live: LiveChannel;
  readonly names: MemberNames;
  readonly self: MemberId;
  /** Aborts when the daemon ends. */
  readonly signal: AbortSignal;
}

const pageSize = 50;
const pageLimit = 200;

/** A chat, as the owner's programs use it. */
export function createChatService(needs: ChatServiceNeeds): Handlers<typeof ChatServiceDefinition> {
  const { chat, node, view, history, live, names, self } = needs;

  const roomIn = (name: string): string => {
    if (!isRoomName(name)) throw wrong(`room: ${refusals['room-name']}`);
    return name;
  };
  /** By id or account; of an account those that the room has. */
  const membersIn = (room: string, text: string): MemberId[] => {
    if (isMemberId(text)) return [text];
    const inside = node.log.state.rooms.get(room)?.members ?? new Set();
    return names.membersOf(text).filter(member => inside.has(member));
  };
  const oneIn = (room: string, text: string): MemberId => {
    const [member] = membersIn(room, text);
    if (member === undefined) throw wrong(`member: nobody called ${JSON.stringify(text.slice(0, 64))} is in ${room}`);
    return member;
  };

  const say = (operation: Operation): number => {
    const said = node.say(operation);
    if ('item' in said) return said.item;
    if (said.turnedAway !== 'outbox-full') throw wrong(refusals[said.turnedAway]);
    throw new CallFailure('RESOURCE_EXHAUSTED', 'CHAT_FULL', 'too much waits to be written: try again later');
  };
  /** @returns its seq @throws CallFailure CHAT_REFUSED, CHAT_WAITING */
  const written = async (operation: Operation, { signal }: Caller): Promise<{ item: number; seq: number }> => {
    const events = view.feed.follow(AbortSignal.any([signal, needs.signal]));
    const item = say(operation);
    for await (const event of events) {
      if (event.$case !== 'outcome' || event.value.item !== item) continue;
      const { refusal, seq } = event.value;
      if (refusal !== '') throw new CallFailure('FAILED_PRECONDITION', 'CHAT_REFUSED', refusal);
      return { item, seq };
    }
    throw new CallFailure('DEADLINE_EXCEEDED', 'CHAT_WAITING', 'it waits on this machine, and goes as soon as it can');
  };

  return {
    async sendMessage(request, caller) {
      const operation = messageIn(request, roomIn(request.room), membersIn);
      if (request.isAwaited) return await written(operation, caller);
      return { item: say(operation), seq: 0 };
    },
    async changeRoom(request, caller) {
      await written(changeIn(request, roomIn(request.room), oneIn), caller);
      return {};
    },
    async listRooms() {
      return { rooms: view.rooms(node.log.state) };
    },
    async listMessages({ room, before, after, limit, words }) {
      if (limit > pageLimit) throw wrong(`limit: must be at most ${pageLimit}`);
      if (words.length > 256) throw wrong('words: must be at most 256 characters');
      view.flush();
      const size = limit || pageSize;
      const near = { ...(before > 0 ? { before } : {}), ...(after > 0 ? { after } : {}) };
      const found = words === '' ? history.page(room, near, size) : history.search(room, words, near, size);
      return { messages: found.messages.map(message => view.message(message)), hasMore: found.hasMore };
    },
    async getChat(): Promise<GetChatResponse> {
      const { epoch, owner, isOpen, minN, offset } = node.log.state;
      return {
        ...{ name: chat, mode: node.mode, isOpen, minN, onItsWay: node.onItsWay, isConnected: node.isConnected },
        serving: { epoch, server: owner && view.name(owner), isSelf: owner === self },
        present: live.members.map(member => view.name(member)),
        logOffset: Math.max(0, offset),
      };
    },
    watchChat(_request, { signal }) {
      return wrapped(view.feed.follow(AbortSignal.any([signal, needs.signal])));
    },
    async setTyping({ room }) {
      live.typing(roomIn(room));
      return {};
    },
  };
}

async function* wrapped(events: AsyncIterable<ChatEvent>): AsyncGenerator<WatchChatResponse> {
  for await (const event of events) yield { event };
}

function messageIn(
  { text, mentions: called, file }: SendMessageRequest,
  room: string,
  membersIn: (room: string, text: string) => MemberId[],
): Operation {
  if (text === '' || Buffer.byteLength(text) > maxText || !text.isWellFormed())
    throw wrong(`text: must be 1 to ${maxText} octets`);
  const byName = [...text.matchAll(/(?:^|\s)@([\w.-]{1,64})/g)].map(([, name = '']) => name.replace(/[.-]+$/, ''));
  const mentions = [...new Set([...called, ...byName].flatMap(name => membersIn(room, name)))].slice(0, maxMentions);
  if (file === undefined) return { kind: 'message', room, text, mentions };
  if (!/^[0-9a-f]{64}$/.test(file.fileId)) throw wrong('file: its id must be 64 hexadecimal digits');
  if (Buffer.byteLength(file.name) > maxFileName) throw wrong(`file: its name must be at most ${maxFileName} octets`);
  return { kind: 'message', room, text, mentions, file };
}

function changeIn(
  { change }: ChangeRoomRequest,
  room: string,
  oneIn: (room: string, text: string) => MemberId,
): Operation {
  switch (change?.$case) {
    case 'create':
    case 'topic': {
      const { topic } = change.value;
      if (Buffer.byteLength(topic) > maxTopic) throw wrong(`topic: must be at most ${maxTopic} octets`);
      return { kind: change.$case, room, topic };
    }
    case 'join':
    case 'leave':
      return { kind: change.$case, room };
    case 'kick':
    case 'give':
      return { kind: change.$case, room, member: oneIn(room, change.value.member) };
    case 'mute':
    case 'unmute':
      return { kind: 'mute', room, member: oneIn(room, change.value.member), isMuted: change.$case === 'mute' };
    case undefined:
      throw wrong('change: must say what');
  }
}

function wrong(message: string): CallFailure {
  return new CallFailure('INVALID_ARGUMENT', 'CHAT_REQUEST', message);
}
