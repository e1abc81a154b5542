import { Failure } from '../lib/failure.ts';
import type { MemberId } from '../lib/identity/member-id.ts';
import { CallFailure } from '../lib/rpc/call-failure.ts';
import type { ContentId } from './merkle.ts';

/** Where to look for who has a file. */
export type Locate = 'directory' | 'ring' | 'both';

export function isLocate(text: string): text is Locate {
  return text === 'directory' || text === 'ring' || text === 'both';
}

/** Somebody who can be asked. */
export interface Contact {
  readonly memberId: MemberId;
  /** For people. */
  readonly name: string;
  /** `host:port`; none: through the broker. */
  readonly addresses: readonly string[];
}

/** A content as one who has it calls it. */
export interface FoundContent {
  readonly id: ContentId;
  readonly path: string;
  readonly contact: Contact;
}

/** Finds who has what: the directory, the ring. What was found once is known without it. */
export interface Locator {
  /** What is known already of who has it. */
  known(id: ContentId): readonly FoundContent[];
  /**
   * @param where as the member is set, unless given
   * @throws CallFailure NOT_FOUND when nobody has it, or nobody who has it is there; and of the way to whom is asked
   */
  locate(id: ContentId, signal?: AbortSignal, where?: Locate): Promise<readonly FoundContent[]>;
  /** By its path, or by the last name of it. @throws as `locate` */
  find(name: string, signal?: AbortSignal): Promise<readonly FoundContent[]>;
  /** Where a member is now; undefined: that is not known. */
  contactOf(member: MemberId): Promise<Contact | undefined>;
}

/** Those who were asked would know of it, and do not. */
export function isNowhere(error: unknown): boolean {
  return error instanceof CallFailure && (error.code === 'DIRECTORY_FILE' || error.code === 'RING_FILE');
}

/** It could not be asked, or has not answered in time: it may know all the same. */
export function isAway(error: unknown): boolean {
  if (error instanceof CallFailure) return error.status === 'UNAVAILABLE' || error.status === 'DEADLINE_EXCEEDED';
  return error instanceof Failure && error.code.startsWith('BUS_');
}
