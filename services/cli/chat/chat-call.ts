import { resolve } from 'node:path';
import { ChatServiceDefinition } from '../../../proto/gen/warren/chat/v1/chat.ts';
import { DirectServiceDefinition } from '../../../proto/gen/warren/chat/v1/direct.ts';
import { Failure, messageOf } from '../../lib/failure.ts';
import { CallFailure, type CallStatus } from '../../lib/rpc/call-failure.ts';
import type { Client } from '../../lib/rpc/definition.ts';
import { connectToDaemon } from '../../lib/rpc/local-daemon.ts';
import type { Arguments } from '../files/arguments.ts';
import type { Io } from '../io.ts';
import { visible } from '../visible.ts';

/** What one of `warren chat …` is given. */
export interface Asked {
  readonly given: Arguments;
  readonly chat: Client<typeof ChatServiceDefinition>;
  readonly direct: Client<typeof DirectServiceDefinition>;
  readonly io: Io;
  readonly stop: AbortSignal;
}

/** Calls the own member of a data directory. @throws Failure with a code of `commands.ts` */
export async function withChat(
  { given, io, stop, dir }: Pick<Asked, 'given' | 'io' | 'stop'> & { readonly dir: string },
  act: (asked: Asked) => Promise<void>,
): Promise<void> {
  const daemon = await connectToDaemon(resolve(io.cwd, dir));
  try {
    const [chat, direct] = [daemon.client(ChatServiceDefinition), daemon.client(DirectServiceDefinition)];
    await act({ given, io, stop, chat, direct });
  } catch (error) {
    if (stop.aborted && error instanceof CallFailure && error.status === 'CANCELLED') return;
    throw asChatFailure(error);
  } finally {
    daemon.close();
  }
}

const failures: Readonly<Partial<Record<CallStatus, string>>> = {
  INVALID_ARGUMENT: 'CONFIG',
  DEADLINE_EXCEEDED: 'CHAT_AWAY',
  UNAVAILABLE: 'CHAT_AWAY',
  UNIMPLEMENTED: 'CHAT_REFUSED',
};

export function asChatFailure(error: unknown): unknown {
  if (!(error instanceof CallFailure)) return error;
  if (error.status === 'UNAVAILABLE' && error.code === 'CALL_GRPC')
    return new Failure('CHAT_MEMBER_GONE', 'the member has ended', { cause: error });
  return new Failure(failures[error.status] ?? 'CHAT_REFUSED', visible(messageOf(error)), { cause: error });
}
