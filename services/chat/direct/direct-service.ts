import type {
  DirectMessage,
  DirectServiceDefinition,
  WatchDirectResponse,
} from '../../../proto/gen/warren/chat/v1/direct.ts';
import { CallFailure } from '../../lib/rpc/call-failure.ts';
import type { Handlers } from '../../lib/rpc/definition.ts';
import type { DirectEvent, DirectMessages } from './direct-messages.ts';
import type { KeptDirect } from './message-store.ts';

const pageSize = 50;
const pageLimit = 200;

/** Private messages, as the owner's programs use them. */
export function createDirectService(direct: DirectMessages): Handlers<typeof DirectServiceDefinition> {
  return {
    async sendDirect({ to, body }, { signal }) {
      return { message: shown(await direct.send(accountIn(to), body, signal)) };
    },
    async listConversations() {
      return {
        conversations: direct.conversations().map(({ peer, unread, last }) => ({
          ...{ with: peer, unread, last: shown(last) },
          members: direct.membersOf(peer).map(({ id, since }) => ({ memberId: id, sinceMs: since })),
        })),
      };
    },
    async listDirect({ with: peer, before, limit }) {
      if (limit > pageLimit)
        throw new CallFailure('INVALID_ARGUMENT', 'DIRECT_REQUEST', `limit: must be at most ${pageLimit}`);
      const size = limit || pageSize;
      const page = direct.page(accountIn(peer), before || Number.MAX_SAFE_INTEGER, size + 1);
      const hasMore = page.length > size;
      return { messages: page.slice(hasMore ? 1 : 0).map(shown), hasMore };
    },
    async markRead({ with: peer }) {
      direct.markRead(accountIn(peer));
      return {};
    },
    watchDirect(_request, { signal }) {
      // From now on, and not from when the first one is asked for.
      return mapped(direct.follow(signal));
    },
  };
}

async function* mapped(events: AsyncIterable<DirectEvent>): AsyncGenerator<WatchDirectResponse> {
  for await (const event of events)
    yield event.kind === 'message'
      ? { event: { $case: 'message', value: shown(event.message) } }
      : {
          event: {
            $case: 'change',
            value: { ...event.change, added: [...event.change.added], removed: [...event.change.removed] },
          },
        };
}

function shown({ number, id, peer, isOwn, sender, body, atMs, state }: KeptDirect): DirectMessage {
  return { number, id, with: peer, isOwn, sender, body, atMs, state };
}

/** @throws CallFailure DIRECT_REQUEST */
function accountIn(text: string): string {
  if (!/^[!-~]{1,64}$/.test(text))
    throw new CallFailure('INVALID_ARGUMENT', 'DIRECT_REQUEST', 'account: must be 1 to 64 visible characters');
  return text;
}
