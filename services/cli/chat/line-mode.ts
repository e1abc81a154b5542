import { createInterface } from 'node:readline';
import type { ChangeRoomRequest } from '../../../proto/gen/warren/chat/v1/chat.ts';
import { Failure, messageOf } from '../../lib/failure.ts';
import { visible } from '../visible.ts';
import { type Asked, asChatFailure } from './chat-call.ts';
import { fileIn, lobby } from './speak.ts';
import { formatConversation, formatDirect, formatEvent, formatMessage, formatRoom, nameOf } from './texts.ts';

const help = `What you type is said in your room. Also:
  /join ROOM   /leave   /create ROOM [TOPIC]   /topic TEXT   /rooms   /who   /history [WORDS]
  /kick NAME   /mute NAME   /unmute NAME   /give NAME   (of a room that you own)
  /dm NAME TEXT   /dm NAME   /dm   /file ID[:NAME] [TEXT]   /quit
`;
const patience = { deadlineMs: 15_000 };

/** A chat in the terminal, line by line, until /quit, the end of the input, or an interrupt. */
export async function lineMode(asked: Asked): Promise<void> {
  const { chat, direct, io } = asked;
  const ending = new AbortController();
  const signal = AbortSignal.any([asked.stop, ending.signal]);
  const lines = createInterface({ input: process.stdin, terminal: false });
  lines.on('close', () => ending.abort());
  const end = (): void => lines.close();
  signal.addEventListener('abort', end, { once: true });
  if (signal.aborted) end();
  const session = new LineSession({ ...asked, stop: signal }, end);
  const follow = async (events: AsyncIterable<unknown>, show: (event: never) => string | undefined): Promise<void> => {
    for await (const event of events) io.out(show(event as never) ?? '');
  };
  const watching = Promise.all([
    follow(chat.watchChat({}, { signal }), formatEvent),
    follow(direct.watchDirect({}, { signal }), ({ event }: { event?: { $case: string; value: never } }) => {
      if (event?.$case === 'change') return formatCorrespondents(event.value);
      return event?.$case === 'message' ? session.direct(event.value) : undefined;
    }),
  ]).catch(error => {
    if (!signal.aborted) throw asChatFailure(error);
  });
  io.out(`/help says what there is to type\n`);
  await session.begin();
  const typing = (async () => {
    for await (const line of lines) await session.type(line.trim());
  })();
  await Promise.race([typing, watching]);
  ending.abort();
  await watching;
}

function formatCorrespondents({
  account,
  added,
  removed,
}: {
  account: string;
  added: string[];
  removed: string[];
}): string {
  const shown = (ids: readonly string[]): string => ids.map(id => id.slice(0, 12)).join(' ');
  const news = [
    ...(added.length === 0 ? [] : [`new: ${shown(added)}`]),
    ...(removed.length === 0 ? [] : [`gone: ${shown(removed)}`]),
  ].join('; ');
  return `* the machines of ${visible(account)} have changed (${news}): ask whether that is right\n`;
}

class LineSession {
  readonly #asked: Asked;
  readonly #end: () => void;
  readonly #shown = new Set<string>();
  #room = lobby;

  constructor(asked: Asked, end: () => void) {
    this.#asked = asked;
    this.#end = end;
  }

  /** Enters the room that all are in, as soon as there is one. */
  async begin(): Promise<void> {
    const { chat, io, stop } = this.#asked;
    const { serving, present, name } = await chat.getChat({}, { signal: stop });
    const served = serving?.epoch
      ? `served by ${nameOf(serving.server)}`
      : 'begun by nobody yet (--found, or -s, begins it)';
    io.out(`* ${name}, ${served}; here: ${present.map(nameOf).join(', ')}\n`);
    void this.#change({ $case: 'join', value: {} }, lobby).catch(error => this.#tell(error));
  }

  direct(message: Parameters<typeof formatDirect>[0]): string | undefined {
    const isNew = !message.isOwn && !this.#shown.has(message.id);
    this.#shown.add(message.id);
    return isNew ? formatDirect(message) : undefined;
  }

  async type(line: string): Promise<void> {
    if (line === '') return;
    try {
      if (line.startsWith('/') && !line.startsWith('//')) await this.#command(line);
      else await this.#say(line.replace(/^\/\//, '/'));
    } catch (error) {
      this.#tell(error);
    }
  }

  async #command(line: string): Promise<void> {
    const { chat, direct, io, stop } = this.#asked;
    const [, word = '', rest = ''] = /^\/(\S+)\s*(.*)$/.exec(line) ?? [];
    const [first = '', ...more] = rest.split(/\s+/);
    const text = more.join(' ');
    switch (word) {
      case 'help':
        return io.out(help);
      case 'quit':
      case 'exit':
        return this.#end();
      case 'join':
        await this.#change({ $case: 'join', value: {} }, first);
        this.#room = first;
        return;
      case 'leave':
        await this.#change({ $case: 'leave', value: {} });
        this.#room = lobby;
        return;
      case 'create':
        await this.#change({ $case: 'create', value: { topic: text } }, first);
        this.#room = first;
        return;
      case 'topic':
        return this.#change({ $case: 'topic', value: { topic: rest } });
      case 'kick':
      case 'mute':
      case 'unmute':
      case 'give':
        return this.#change({ $case: word, value: { member: first } });
      case 'rooms':
        for (const room of (await chat.listRooms({}, { signal: stop })).rooms) io.out(formatRoom(room));
        return;
      case 'who': {
        const { present } = await chat.getChat({}, { signal: stop });
        return io.out(`* here: ${present.map(nameOf).join(', ')}\n`);
      }
      case 'history': {
        const page = { room: this.#room, before: 0, after: 0, limit: 20, words: rest };
        for (const message of (await chat.listMessages(page, { signal: stop })).messages)
          io.out(formatMessage(message));
        return;
      }
      case 'dm':
        if (first === '') {
          const { conversations } = await direct.listConversations({}, { signal: stop });
          for (const each of conversations) io.out(formatConversation(each));
        } else if (text === '') {
          const { messages } = await direct.listDirect({ with: first, before: 0, limit: 20 }, { signal: stop });
          for (const message of messages) io.out(formatDirect(message));
          await direct.markRead({ with: first }, { signal: stop });
        } else await direct.sendDirect({ to: first, body: text }, { signal: stop });
        return;
      case 'file':
        return this.#say(text || '(a file)', first);
      default:
        throw new Failure('CONFIG', `there is no /${visible(word)}: /help says what there is`);
    }
  }

  async #say(text: string, file?: string): Promise<void> {
    const { chat, stop } = this.#asked;
    const request = { room: this.#room, text, mentions: [], file: fileIn(file), isAwaited: false };
    await chat.sendMessage(request, { signal: stop });
  }

  async #change(change: NonNullable<ChangeRoomRequest['change']>, room = this.#room): Promise<void> {
    await this.#asked.chat.changeRoom({ room, change }, { ...patience, signal: this.#asked.stop });
  }

  #tell(error: unknown): void {
    const failure = asChatFailure(error);
    if (!(failure instanceof Failure) || failure.code === 'CHAT_MEMBER_GONE') throw failure;
    if (!this.#asked.stop.aborted) this.#asked.io.err(`${messageOf(failure)}\n`);
  }
}
