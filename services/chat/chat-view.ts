import type {
  ChatMessage,
  MemberName,
  RoomChanged,
  RoomView,
  WatchChatResponse,
} from '../../proto/gen/warren/chat/v1/chat.ts';
import { EventFeed } from '../lib/event-feed.ts';
import { messageOf } from '../lib/failure.ts';
import type { MemberId } from '../lib/identity/member-id.ts';
import type { Read } from './core/chat-log.ts';
import type { ChatState } from './core/chat-state.ts';
import type { ClientEffect } from './core/client-events.ts';
import { type Input, refusals } from './core/entry.ts';
import type { History, KeptMessage } from './history/history.ts';
import type { MemberNames } from './member-names.ts';
import { isAuthentic } from './signed.ts';

export type ChatEvent = NonNullable<WatchChatResponse['event']>;

export interface ChatViewNeeds {
  readonly history: History;
  readonly names: MemberNames;
  readonly isPresent: (member: MemberId) => boolean;
  readonly self: MemberId;
  readonly warn: (line: string) => void;
}

const flushMs = 200;
const flushAt = 500;

/** What the owner sees of a chat: what the log says, as events and as history. Shows nothing twice, and nothing that its sender has not signed. */
export class ChatView {
  readonly #needs: ChatViewNeeds;
  readonly feed = new EventFeed<ChatEvent>(5_000);
  #unkept: KeptMessage[] = [];
  #keptOffset = 0;
  #timer: NodeJS.Timeout | undefined;
  #isBroken = false;
  /** What was read before has been told by a process before this one. */
  readonly #toldOffset: number;

  constructor(needs: ChatViewNeeds) {
    this.#needs = needs;
    this.#toldOffset = needs.history.nextOffset;
  }

  read(read: Read): void {
    if (read.kind === 'cut') {
      const { fromSeq, toSeq } = read;
      if (fromSeq <= toSeq) this.feed.tell({ $case: 'cut', value: { fromSeq, toSeq } });
      return;
    }
    const { logged, meaning } = read;
    if (logged.offset < this.#toldOffset) return;
    this.#keptOffset = logged.offset + 1;
    if (meaning.kind === 'epoch') {
      const { epoch, owner } = meaning;
      this.feed.tell({
        $case: 'serving',
        value: { epoch, server: this.name(owner), isSelf: owner === this.#needs.self },
      });
    } else if (meaning.kind === 'opens') {
      this.feed.tell({
        $case: 'room',
        value: { room: '', by: undefined, what: 'opened', member: undefined, topic: '' },
      });
    } else if (meaning.kind === 'input' && meaning.refusal === undefined)
      this.#said(meaning.input, meaning.seq, logged.offset, logged.atMs);
    this.#keepSoon();
  }

  outcome(effect: Extract<ClientEffect, { kind: 'written' | 'refused' }>): void {
    const { id: item } = effect;
    const isForged = effect.kind === 'refused' && effect.reason === 'forged';
    const refusal =
      effect.kind === 'written' ? '' : isForged ? 'the server wrote something else' : refusals[effect.reason as 'rate'];
    this.feed.tell({
      $case: 'outcome',
      value: { item, refusal, seq: effect.kind === 'written' ? (effect.seq ?? 0) : 0 },
    });
  }

  #said({ sender, operation, proof, ...rest }: Input, seq: number, offset: number, atMs: number): void {
    switch (operation.kind) {
      case 'message': {
        if (!isAuthentic({ sender, operation, proof, ...rest })) return;
        const { room, text: body, mentions, file } = operation;
        const kept: KeptMessage = { seq, offset, room, sender, atMs, body, mentions, file };
        this.#unkept.push(kept);
        return this.feed.tell({ $case: 'message', value: this.message(kept) });
      }
      case 'begin':
        // So that its name is known when it says something.
        void this.#needs.names.learn(sender);
        return;
      case 'unknown':
      case 'oversized':
        return;
      default:
        return this.feed.tell({ $case: 'room', value: this.#changed(sender, operation) });
    }
  }

  #changed(
    sender: MemberId,
    operation: Exclude<Input['operation'], { kind: 'message' | 'begin' | 'unknown' | 'oversized' }>,
  ): RoomChanged {
    const { room, kind } = operation;
    const words = { create: 'created', join: 'joined', leave: 'left', topic: 'topic', kick: 'kicked', give: 'given' };
    const what = kind === 'mute' ? (operation.isMuted ? 'muted' : 'unmuted') : words[kind];
    const member = 'member' in operation ? this.name(operation.member) : undefined;
    return { room, by: this.name(sender), what, member, topic: 'topic' in operation ? operation.topic : '' };
  }

  name(member: MemberId): MemberName {
    return { memberId: member, account: this.#needs.names.of(member), isPresent: this.#needs.isPresent(member) };
  }

  message({ seq, room, sender, body: text, atMs, mentions, file }: KeptMessage): ChatMessage {
    const from = this.name(sender as MemberId);
    return { seq, room, sender: from, text, atMs, mentions: [...(mentions ?? [])], file: file && { ...file } };
  }

  rooms({ rooms }: Readonly<ChatState>): RoomView[] {
    return [...rooms]
      .sort(([one], [other]) => (one < other ? -1 : 1))
      .map(([name, { topic, owner, members, muted }]) => ({
        ...{ name, topic, owner: this.name(owner), muted: [...muted] },
        members: [...members].map(member => this.name(member)),
        isJoined: members.has(this.#needs.self),
      }));
  }

  /** @returns whether all that was read is in the history */
  flush(): boolean {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const messages = this.#unkept;
    this.#unkept = [];
    if (messages.length === 0 && this.#keptOffset === 0) return true;
    try {
      this.#needs.history.add(messages, this.#keptOffset);
      this.#isBroken = false;
    } catch (error) {
      // Read again from the log at the next start.
      if (!this.#isBroken) this.#needs.warn(`chat: the history takes nothing: ${messageOf(error)}`);
      this.#isBroken = true;
      this.#unkept = [...messages, ...this.#unkept].slice(-flushAt * 20);
    }
    return !this.#isBroken;
  }

  #keepSoon(): void {
    if (this.#unkept.length >= flushAt) this.flush();
    else this.#timer ??= setTimeout(() => this.flush(), flushMs);
  }

  close(): void {
    this.flush();
    clearTimeout(this.#timer);
  }
}
