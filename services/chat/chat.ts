import { join } from 'node:path';
import { DirectServiceDefinition } from '../../proto/gen/warren/chat/v1/direct.ts';
import type { HostedPart, MemberHost } from '../bus/hosted.ts';
import { served } from '../lib/rpc/definition.ts';
import { DirectMessages } from './direct/direct-messages.ts';
import { createDirectService } from './direct/direct-service.ts';

/**
 * The chat of a member, for its daemon to host: private messages.
 * @throws Failure CHAT_DIRECT
 */
export async function startChat(host: MemberHost): Promise<HostedPart> {
  const dir = join(host.dataDir, 'chat');
  const direct = new DirectMessages(host, dir);
  return {
    name: 'chat',
    forMembers: [],
    forMembersByBus: [],
    forOwner: [served(DirectServiceDefinition, createDirectService(direct))],
    status() {
      const unread = direct.conversations().reduce((sum, each) => sum + each.unread, 0);
      return [`${unread} private messages unread`];
    },
    close: () => direct.close(),
  };
}
