import {
  Entry as EntryMessage,
  Input as InputMessage,
  Refusal,
  Said as SaidMessage,
} from '../../proto/gen/warren/chat/v1/log.ts';
import { decodeCheckpoint, encodeCheckpoint } from './checkpoint-wire.ts';
import { maxChatName, maxEntry, maxSaid } from './core/bounds.ts';
import type { Entry, Input, InputPlace, Operation, Proof, ServerRefusal } from './core/entry.ts';
import { problemOf } from './core/operation-bounds.ts';
import { asBuffer, decodeMember, encodeMember, isMigrationId, reading } from './octets.ts';

/**
 * Between what the core speaks of and what stands in the log and the input (proto/warren/chat/v1/log.proto). Decoding gives undefined for what
 * breaks a bound or cannot be read.
 */

const keyOctets = 32;
const signatureOctets = 64;

export type Unsigned = Omit<Input, 'proof'>;

/** What is signed. */
export function encodeSaid(chat: string, { sender, session, counter, sentAtMs, operation }: Unsigned): Uint8Array {
  const said = { chat, sender: encodeMember(sender), session, counter, sentAtMs };
  return SaidMessage.encode({ ...said, operation: encodeOperation(operation) }).finish();
}

export function encodeInput(proof: Proof): Uint8Array {
  return InputMessage.encode(inputMessageOf(proof)).finish();
}

/** @param chat in which it counts */
export function decodeInput(body: Uint8Array, chat: string): Input | undefined {
  return body.length > maxSaid + 256 ? undefined : reading(() => inputOf(InputMessage.decode(body), chat));
}

export function encodeEntry(entry: Entry, atMs: number): Uint8Array {
  const seq = entry.kind === 'epoch' ? 0 : entry.seq;
  return EntryMessage.encode({ epoch: entry.epoch, seq, atMs, entry: contentOf(entry) }).finish();
}

/** @param chat whose log it stands in */
export function decodeEntry(body: Uint8Array, chat: string): { entry: Entry; atMs: number } | undefined {
  if (body.length > maxEntry) return undefined;
  return reading(() => {
    const { epoch, seq, atMs, entry: content } = EntryMessage.decode(body);
    const entry = content === undefined || epoch < 1 ? undefined : entryOf(epoch, seq, content, chat);
    return entry && { entry, atMs };
  });
}

type Content = NonNullable<EntryMessage['entry']>;

function contentOf(entry: Entry): Content {
  switch (entry.kind) {
    case 'epoch':
      return { $case: 'epochBegins', value: { migrationId: entry.migrationId, minN: entry.minN } };
    case 'input':
      return { $case: 'input', value: inputMessageOf(entry.input.proof) };
    case 'refused': {
      const { sender, session, counter, reason } = entry;
      return {
        $case: 'refused',
        value: { sender: encodeMember(sender), session, counter, reason: refusalNumbers[reason] },
      };
    }
    case 'opens':
      return { $case: 'opens', value: {} };
    case 'checkpoint':
      return { $case: 'checkpoint', value: encodeCheckpoint(entry.snapshot) };
  }
}

function entryOf(epoch: number, seq: number, content: Content, chat: string): Entry | undefined {
  if (content.$case === 'epochBegins') {
    const { migrationId, minN } = content.value;
    return isMigrationId(migrationId) ? { kind: 'epoch', epoch, migrationId, minN } : undefined;
  }
  if (seq < 1) return undefined;
  switch (content.$case) {
    case 'input': {
      const input = inputOf(content.value, chat);
      if (input === undefined || input.operation.kind === 'oversized') return undefined;
      return { kind: 'input', epoch, seq, input };
    }
    case 'refused': {
      const { session, counter, reason: number } = content.value;
      const sender = decodeMember(content.value.sender);
      const reason = refusalOf(number);
      if (sender === undefined || reason === undefined || counter < 1) return undefined;
      return { kind: 'refused', epoch, seq, reason, sender, session, counter } satisfies Entry & InputPlace;
    }
    case 'opens':
      return { kind: 'opens', epoch, seq };
    case 'checkpoint': {
      const snapshot = decodeCheckpoint(content.value);
      return snapshot && { kind: 'checkpoint', epoch, seq, snapshot };
    }
  }
}

const refusalNumbers = {
  rate: Refusal.REFUSAL_RATE,
  size: Refusal.REFUSAL_SIZE,
} as const satisfies Record<ServerRefusal, Refusal>;

function refusalOf(number: Refusal): ServerRefusal | undefined {
  if (number === Refusal.REFUSAL_RATE) return 'rate';
  return number === Refusal.REFUSAL_SIZE ? 'size' : undefined;
}

function inputMessageOf({ said, publicKey, signature }: Proof): InputMessage {
  return { said: asBuffer(said), publicKey: asBuffer(publicKey), signature: asBuffer(signature) };
}

function inputOf({ said, publicKey, signature }: InputMessage, chat: string): Input | undefined {
  if (said.length > maxSaid || publicKey.length !== keyOctets || signature.length !== signatureOctets) return undefined;
  const { chat: to, sender: octets, session, counter, sentAtMs, operation } = SaidMessage.decode(said);
  const sender = decodeMember(octets);
  if (to !== chat || chat.length > maxChatName || sender === undefined || session < 1 || counter < 1) return undefined;
  const does = decodeOperation(operation);
  return does && { sender, session, counter, sentAtMs, operation: does, proof: { said, publicKey, signature } };
}

type OperationMessage = NonNullable<SaidMessage['operation']>;

function encodeOperation(operation: Operation): OperationMessage | undefined {
  switch (operation.kind) {
    case 'begin':
      return { $case: 'begin', value: {} };
    case 'message': {
      const { room, text, mentions, file } = operation;
      return { $case: 'message', value: { room, text, mentions: mentions.map(encodeMember), file } };
    }
    case 'create':
      return { $case: 'create', value: { room: operation.room, topic: operation.topic } };
    case 'join':
      return { $case: 'join', value: { room: operation.room } };
    case 'leave':
      return { $case: 'leave', value: { room: operation.room } };
    case 'topic':
      return { $case: 'topic', value: { room: operation.room, topic: operation.topic } };
    case 'kick':
      return { $case: 'kick', value: { room: operation.room, member: encodeMember(operation.member) } };
    case 'mute': {
      const { room, member, isMuted } = operation;
      return { $case: 'mute', value: { room, member: encodeMember(member), isMuted } };
    }
    case 'give':
      return { $case: 'give', value: { room: operation.room, member: encodeMember(operation.member) } };
    case 'unknown':
    case 'oversized':
      return undefined;
  }
}

/** `oversized`: the sender is to hear of it. @returns undefined: it says nothing that could be done */
function decodeOperation(message: OperationMessage | undefined): Operation | undefined {
  const operation = operationOf(message);
  return operation === undefined || problemOf(operation) === undefined ? operation : { kind: 'oversized' };
}

function operationOf(message: OperationMessage | undefined): Operation | undefined {
  switch (message?.$case) {
    case undefined:
      return { kind: 'unknown' };
    case 'begin':
      return { kind: 'begin' };
    case 'message': {
      const { room, text, mentions: octets, file } = message.value;
      if (file !== undefined && !/^[0-9a-f]{64}$/.test(file.fileId)) return undefined;
      const mentions = octets.flatMap(each => decodeMember(each) ?? []);
      if (mentions.length < octets.length) return undefined;
      return { kind: 'message', room, text, mentions, ...(file === undefined ? {} : { file }) };
    }
    case 'create':
    case 'topic':
      return { kind: message.$case, room: message.value.room, topic: message.value.topic };
    case 'join':
    case 'leave':
      return { kind: message.$case, room: message.value.room };
    case 'kick':
    case 'give': {
      const member = decodeMember(message.value.member);
      return member && { kind: message.$case, room: message.value.room, member };
    }
    case 'mute': {
      const member = decodeMember(message.value.member);
      return member && { kind: 'mute', room: message.value.room, member, isMuted: message.value.isMuted };
    }
  }
}
