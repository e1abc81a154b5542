import { join } from 'node:path';
import { ChatServiceDefinition } from '../../proto/gen/warren/chat/v1/chat.ts';
import { DirectServiceDefinition } from '../../proto/gen/warren/chat/v1/direct.ts';
import type { HostedPart, MemberHost } from '../bus/hosted.ts';
import { served } from '../lib/rpc/definition.ts';
import { createChatService } from './chat-service.ts';
import { ChatStore } from './chat-store.ts';
import { ChatView } from './chat-view.ts';
import { serverDefaults } from './core/server-events.ts';
import { DirectMessages } from './direct/direct-messages.ts';
import { createDirectService } from './direct/direct-service.ts';
import { History } from './history/history.ts';
import { LiveChannel } from './live.ts';
import { MemberNames } from './member-names.ts';
import { ChatNode } from './node/chat-node.ts';
import type { KeepRegistered, NamingClient } from './node/naming-edge.ts';

export interface ChatOptions {
  /** The chat's name: one of those that the directory has. */
  readonly name: string;
  /** Begins it, where nobody has. */
  readonly isFounder: boolean;
  /** Members that have to be there before anybody talks, if this one begins it. */
  readonly minN: number;
  /** 0: never. */
  readonly migrateEveryMs: number;
  /** Of the history on this machine. */
  readonly historyBytes: number;
  readonly historyMs: number;
  readonly naming: { readonly client: (host: MemberHost) => NamingClient; readonly keepRegistered: KeepRegistered };
}

const retainEveryMs = 600_000;

/**
 * The chat of a member, for its daemon to host: its server, latent or active, its client, and private messages.
 * @throws Failure CHAT_STORE, CHAT_HISTORY, CHAT_DIRECT
 */
export async function startChat(host: MemberHost, options: ChatOptions): Promise<HostedPart> {
  const { id: self, signal, warn } = host;
  const { name: chat, isFounder, minN, migrateEveryMs, naming } = options;
  const dir = join(host.dataDir, 'chat');
  const ends: (() => unknown)[] = [];
  const close = async (): Promise<void> => {
    for (const end of ends.splice(0).reverse()) await end();
  };
  try {
    const direct = new DirectMessages(host, dir);
    ends.push(() => direct.close());
    const ofChat = join(dir, chat);
    const history = new History(ofChat);
    ends.push(() => history.close());
    const store = new ChatStore(ofChat);
    ends.push(() => store.close());
    const names = new MemberNames(host);
    const view = new ChatView({ history, names, self, warn, isPresent: member => live.has(member) });
    ends.push(() => view.close());
    const tellPresence = (): void => node.present(live.members.length);
    const node = new ChatNode(
      {
        ...{ host, store, naming: { client: naming.client(host), keepRegistered: naming.keepRegistered } },
        onRead: read => {
          view.read(read);
          // Whoever serves from now on is to know who is there.
          if (read.kind === 'entry' && read.meaning.kind === 'epoch') setImmediate(tellPresence);
        },
        onKeep: () => view.flush(),
        onOutcome: effect => view.outcome(effect),
      },
      { chat, server: { ...serverDefaults, isFounder, minN, migrateEveryMs } },
    );
    const live: LiveChannel = new LiveChannel({
      ...{ host, chat },
      onPresence: member => {
        view.feed.tell({ $case: 'presence', value: { member: view.name(member) } });
        tellPresence();
      },
      onTyping: (member, room) => view.feed.tell({ $case: 'typing', value: { room, member: view.name(member) } }),
    });
    ends.push(() => node.close());
    ends.push(() => live.close());
    const off = host.bus.onState((_state, reason) =>
      view.feed.tell({ $case: 'connection', value: { isConnected: node.isConnected, reason } }),
    );
    ends.push(off);
    const { historyBytes: maxBytes, historyMs } = options;
    let isClosed = false;
    const retain = (): void => {
      if (!isClosed && history.retain({ maxBytes, olderThanMs: host.now() - historyMs }) > 0) setImmediate(retain);
    };
    const retaining = setInterval(retain, retainEveryMs);
    ends.push(() => {
      isClosed = true;
      clearInterval(retaining);
    });
    const service = createChatService({ chat, node, view, history, live, names, self, signal });
    return {
      name: 'chat',
      forMembers: [],
      forMembersByBus: [],
      forOwner: [served(ChatServiceDefinition, service), served(DirectServiceDefinition, createDirectService(direct))],
      status() {
        const { epoch, owner } = node.log.state;
        const by = owner === self ? 'this member' : owner?.slice(0, 12);
        const serving = owner === undefined ? 'nobody has begun it' : `epoch ${epoch}, served by ${by}`;
        const unread = direct.conversations().reduce((sum, each) => sum + each.unread, 0);
        return [`${chat}: ${serving}; ${node.onItsWay} on their way`, `${unread} private messages unread`];
      },
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}
