import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { Failure, messageOf } from '../../lib/failure.ts';
import { CallFailure, type CallStatus } from '../../lib/rpc/call-failure.ts';
import { connectToDaemon } from '../../lib/rpc/local-daemon.ts';
import { visible } from '../visible.ts';
import type { Asked } from './asked.ts';

/** Calls the own member of a data directory. @param act fails as the member answered @throws Failure with a code of `exits.ts` */
export async function withMember(asked: Omit<Asked, 'daemon'>, act: (asked: Asked) => Promise<void>): Promise<void> {
  const { dataDir, stop } = asked;
  const daemon = await connectToDaemon(dataDir).catch(async error => {
    throw (await isHome(dataDir)) || !(error instanceof Failure) || error.code !== 'DAEMON_NOT_RUNNING'
      ? error
      : new Failure(
          'DAEMON_NOT_RUNNING',
          `no member runs for ${dataDir}, and none has joined there: --data DIR says where yours is; warren join LINE makes one`,
        );
  });
  try {
    await act({ ...asked, daemon });
  } catch (error) {
    if (stop.aborted && error instanceof CallFailure && error.status === 'CANCELLED') return;
    throw asFilesFailure(error, dataDir);
  } finally {
    daemon.close();
  }
}

async function isHome(dataDir: string): Promise<boolean> {
  return (await readdir(join(dataDir, 'member')).catch(() => [])).length > 0;
}

const failures: Readonly<Partial<Record<CallStatus, string>>> = {
  INVALID_ARGUMENT: 'CONFIG',
  NOT_FOUND: 'FILES_NOT_FOUND',
  PERMISSION_DENIED: 'FILES_REFUSED',
  FAILED_PRECONDITION: 'FILES_REFUSED',
  RESOURCE_EXHAUSTED: 'FILES_REFUSED',
  ALREADY_EXISTS: 'FILES_REFUSED',
  UNAUTHENTICATED: 'FILES_REFUSED',
  UNAVAILABLE: 'FILES_AWAY',
  DEADLINE_EXCEEDED: 'FILES_AWAY',
  ABORTED: 'FILES_FAILED',
  DATA_LOSS: 'FILES_FAILED',
};

/** What a call to the member ended with, as this command ends. */
export function asFilesFailure(error: unknown, dataDir: string): unknown {
  if (!(error instanceof CallFailure)) return error;
  // Of gRPC itself: the daemon has gone while we asked.
  if (error.status === 'UNAVAILABLE' && error.code === 'CALL_GRPC')
    return new Failure(
      'FILES_MEMBER_GONE',
      `the member of ${dataDir} has ended: warren member --data ${dataDir}, and then the same command again`,
      { cause: error },
    );
  if (error.status === 'UNIMPLEMENTED')
    return new Failure('FILES_REFUSED', `the member of ${dataDir} does not do this: is it of another version?`, {
      cause: error,
    });
  return new Failure(failures[error.status] ?? error.code, visible(messageOf(error)), { cause: error });
}
