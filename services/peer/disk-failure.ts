import { Failure, messageOf } from '../lib/failure.ts';

/**
 * What the disk refuses, as a state that people understand. Those that may pass by themselves, or by what the owner does, hold a transfer and
 * do not end it: PEER_DISK_FULL, PEER_DISK_DENIED (no permission, or read-only), PEER_DISK (anything else).
 */
export function diskFailure(error: unknown, path: string): Failure {
  if (error instanceof Failure) return error;
  const { code, errcode } = error as NodeJS.ErrnoException & { errcode?: number };
  if (errcode === sqliteFull) return new Failure('PEER_DISK_FULL', 'the disk of the index is full', { cause: error });
  switch (code) {
    case 'ENOSPC':
    case 'EDQUOT':
      return new Failure('PEER_DISK_FULL', `the disk is full: ${path} cannot be written`, { cause: error });
    case 'EACCES':
    case 'EPERM':
    case 'EROFS':
      return new Failure('PEER_DISK_DENIED', `no permission to write ${path}`, { cause: error });
    default:
      return new Failure('PEER_DISK', `${path} cannot be written: ${messageOf(error)}`, { cause: error });
  }
}

/** SQLITE_FULL */
const sqliteFull = 13;
