import type { GrpcConnection } from '../../lib/rpc/grpc-client.ts';
import type { Io } from '../io.ts';
import type { Arguments } from './arguments.ts';

/** What one of `warren files …` is given. */
export interface Asked {
  readonly given: Arguments;
  /** To the own member's daemon. */
  readonly daemon: GrpcConnection;
  /** Absolute. */
  readonly dataDir: string;
  readonly io: Io;
  readonly stop: AbortSignal;
}
