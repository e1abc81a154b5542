import type { MemberId } from '../../lib/identity/member-id.ts';
import type { Snapshot } from './chat-state.ts';

/** What stands in the log of a chat, decoded (proto/warren/chat/v1/log.proto says more of each). */
export type Entry =
  | { readonly kind: 'epoch'; readonly epoch: number; readonly migrationId: string; readonly minN: number }
  | (Placed & { readonly kind: 'input'; readonly input: Input })
  | (Placed & { readonly kind: 'refused'; readonly reason: ServerRefusal } & InputPlace)
  | (Placed & { readonly kind: 'opens' })
  | (Placed & { readonly kind: 'checkpoint'; readonly snapshot: Snapshot });

interface Placed {
  readonly epoch: number;
  readonly seq: number;
}

/** Which input of all. */
export interface InputPlace {
  readonly sender: MemberId;
  readonly session: number;
  readonly counter: number;
}

export interface Input extends InputPlace {
  /** The sender's time of day, milliseconds since 1970: for people, never compared. */
  readonly sentAtMs: number;
  readonly operation: Operation;
  readonly proof: Proof;
}

/** As it was published, so that everybody can check it. The core hands it on. */
export interface Proof {
  readonly said: Uint8Array;
  readonly publicKey: Uint8Array;
  readonly signature: Uint8Array;
}

/** `unknown`: of a newer program; it does nothing here. `oversized`: breaks a bound; it stands in no log. */
export type Operation =
  | { readonly kind: 'begin' }
  | {
      readonly kind: 'message';
      readonly room: string;
      readonly text: string;
      readonly mentions: readonly MemberId[];
      readonly file?: { readonly fileId: string; readonly name: string; readonly size: number };
    }
  | { readonly kind: 'create'; readonly room: string; readonly topic: string }
  | { readonly kind: 'join'; readonly room: string }
  | { readonly kind: 'leave'; readonly room: string }
  | { readonly kind: 'topic'; readonly room: string; readonly topic: string }
  | { readonly kind: 'kick'; readonly room: string; readonly member: MemberId }
  | { readonly kind: 'mute'; readonly room: string; readonly member: MemberId; readonly isMuted: boolean }
  | { readonly kind: 'give'; readonly room: string; readonly member: MemberId }
  | { readonly kind: 'unknown' }
  | { readonly kind: 'oversized' };

/** An entry where it stands. */
export interface Logged {
  readonly offset: number;
  /** Of the entry that was delivered directly before it, by one reading of the stream; absent: that is not known. */
  readonly after?: number | undefined;
  /** Its appender, as the broker has checked it; undefined: no member. */
  readonly from: MemberId | undefined;
  /** Undefined: it cannot be read. */
  readonly entry: Entry | undefined;
  /** Of the message's body, in octets. */
  readonly size: number;
  /** The appender's time of day, milliseconds since 1970: for people, never compared. */
  readonly atMs: number;
}

/** Refused by the server, for what the log does not say. */
export type ServerRefusal = 'rate' | 'size';

/** Refused by the rule, so by everybody alike. */
export type RuleRefusal =
  | 'not-open'
  | 'no-room'
  | 'room-exists'
  | 'room-name'
  | 'not-in-room'
  | 'not-owner'
  | 'not-a-member'
  | 'muted'
  | 'too-many-rooms'
  | 'full'
  | 'unknown';

export type RefusalCode = ServerRefusal | RuleRefusal;

/** For the one who said it. */
export const refusals: Readonly<Record<RefusalCode, string>> = {
  rate: 'too many messages at once: wait a moment and send it again',
  size: 'it is larger than what the chat takes',
  'not-open': 'the chat is not open yet: too few members are here',
  'no-room': 'there is no such room',
  'room-exists': 'there is a room of that name already',
  'room-name': 'a room’s name is 1 to 32 lower-case letters, digits, "-", "_" and ".", the first a letter or digit',
  'not-in-room': 'you are not in that room: join it first',
  'not-owner': 'only the room’s owner may do that',
  'not-a-member': 'that member is not in the room',
  muted: 'the room’s owner has muted you',
  'too-many-rooms': 'there are too many rooms',
  full: 'the chat takes no more members',
  unknown: 'the server does not know what that is: it may be of an older version',
};
