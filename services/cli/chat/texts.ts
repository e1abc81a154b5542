import type {
  ChatMessage,
  MemberName,
  RoomChanged,
  RoomView,
  WatchChatResponse,
} from '../../../proto/gen/warren/chat/v1/chat.ts';
import { type Conversation, type DirectMessage, DirectState } from '../../../proto/gen/warren/chat/v1/direct.ts';
import { visible } from '../visible.ts';

/** How the chat's commands write, a line each. Times are of this machine's zone. */
export function formatMessage({ atMs, room, sender, text, file }: ChatMessage): string {
  const shared =
    file === undefined ? '' : ` [file ${visible(file.name)}, warren files get ${file.fileId.slice(0, 12)}]`;
  return `${timeOf(atMs)} #${visible(room)} ${nameOf(sender)}: ${visible(text)}${shared}\n`;
}

/** @returns undefined: nothing to be shown */
export function formatEvent({ event }: WatchChatResponse): string | undefined {
  switch (event?.$case) {
    case 'message':
      return formatMessage(event.value);
    case 'room':
      return `* ${formatChange(event.value)}\n`;
    case 'serving': {
      const { epoch, server, isSelf } = event.value;
      return `* ${isSelf ? 'this machine' : nameOf(server)} serves the chat now (epoch ${epoch})\n`;
    }
    case 'outcome':
      return event.value.refusal === '' ? undefined : `* not said: ${visible(event.value.refusal)}\n`;
    case 'presence': {
      const { member } = event.value;
      return `* ${nameOf(member)} is ${member?.isPresent ? 'here' : 'gone'}\n`;
    }
    case 'cut':
      return `* messages are missing here: the log was cut before they were read\n`;
    case 'connection':
      return event.value.isConnected ? '* connected\n' : `* not connected: what you say waits\n`;
    default:
      return undefined;
  }
}

function formatChange({ room, by, what, member, topic }: RoomChanged): string {
  const [who, whom, where] = [nameOf(by), nameOf(member), `#${visible(room)}`];
  switch (what) {
    case 'opened':
      return 'the chat is open: enough members are here';
    case 'created':
      return `${who} made ${where}${topic === '' ? '' : `: ${visible(topic)}`}`;
    case 'topic':
      return `${who} set the topic of ${where}: ${visible(topic)}`;
    case 'joined':
    case 'left':
      return `${who} ${what} ${where}`;
    case 'given':
      return `${who} gave ${where} to ${whom}`;
    default:
      return `${who} ${visible(what)} ${whom} in ${where}`;
  }
}

export function formatRoom({ name, topic, members, isJoined }: RoomView): string {
  const about = topic === '' ? '' : `  ${visible(topic)}`;
  const inside = members.length === 1 ? '1 member' : `${members.length} members`;
  return `${isJoined ? '*' : ' '} #${visible(name)}  ${inside}${about}\n`;
}

const states: Readonly<Record<number, string>> = {
  [DirectState.DIRECT_STATE_WAITING]: 'waiting',
  [DirectState.DIRECT_STATE_SENT]: 'sent',
  [DirectState.DIRECT_STATE_DELIVERED]: 'delivered',
  [DirectState.DIRECT_STATE_READ]: 'read',
  [DirectState.DIRECT_STATE_FAILED]: 'not delivered',
  [DirectState.DIRECT_STATE_UNREAD]: 'new',
};

export function formatDirect({ atMs, with: peer, isOwn, body, state }: DirectMessage): string {
  const way = isOwn ? `to ${visible(peer)}` : `from ${visible(peer)}`;
  const told = isOwn || state === DirectState.DIRECT_STATE_UNREAD ? ` (${states[state] ?? '?'})` : '';
  return `${timeOf(atMs)} ${way}${told}: ${visible(body)}\n`;
}

export function formatConversation({ with: peer, unread, last, members }: Conversation): string {
  const news = unread === 0 ? '' : `, ${unread} new`;
  const machines = members.map(({ memberId }) => memberId.slice(0, 12)).join(' ');
  const end = last === undefined ? '' : `: ${visible(last.body)}`;
  return `${visible(peer)} (${machines || 'machines not known'}${news})${end}\n`;
}

export function nameOf(member: MemberName | undefined): string {
  return member === undefined ? '?' : visible(member.account) || member.memberId.slice(0, 12);
}

function timeOf(ms: number): string {
  const at = new Date(ms);
  const two = (value: number): string => String(value).padStart(2, '0');
  return `${two(at.getHours())}:${two(at.getMinutes())}`;
}
