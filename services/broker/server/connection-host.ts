import type { Broker } from '../core/broker.ts';
import type { Rights } from '../core/permissions.ts';
import type { DirectReplies } from './direct-replies.ts';

/** Who logged in. */
export interface Login {
  readonly user: string;
  /** Undefined: there is such an account, and it may do nothing here. */
  readonly rights: Rights | undefined;
}

/** What a connection needs of the server it is on. */
export interface ConnectionHost {
  readonly broker: Broker;
  readonly replies: DirectReplies;
  readonly version: string;
  /** Undefined for a wrong name or password. @param isWanted whether the client still waits */
  login(user: string, password: string, isWanted: () => boolean): Promise<Login | undefined>;
  /**
   * Whether the account may have one more. Asked when a connection comes, or a channel of one.
   * @throws AmqpError 530 when it has as many as it may
   */
  admit(user: string, what: 'connection' | 'channel'): void;
  randomName(): string;
  /** Frames wait to be sent: `flush` is called this turn. */
  dirty(connection: { flush(): void }): void;
  /** Why publishers are blocked, or undefined. */
  readonly alarm: string | undefined;
  /** Milliseconds that only ever ascend, for heartbeats and patience: the time of day may be set. */
  now(): number;
  warn(line: string): void;
}
