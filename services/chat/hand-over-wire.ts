import { HandOver as HandOverMessage } from '../../proto/gen/warren/chat/v1/hand_over.ts';
import { decodeCheckpoint, encodeCheckpoint } from './checkpoint-wire.ts';
import { maxEntry } from './core/bounds.ts';
import type { HandOver, HandOverStep } from './core/hand-over.ts';
import { isMigrationId, reading } from './octets.ts';

const maxReason = 200;

export function encodeHandOver(chat: string, { epoch, migrationId, step }: HandOver): Uint8Array {
  return HandOverMessage.encode({ chat, epoch, migrationId, step: encodeStep(step) }).finish();
}

/** @returns undefined: it breaks a bound, cannot be read, or is of another chat */
export function decodeHandOver(body: Uint8Array, chat: string): HandOver | undefined {
  if (body.length > maxEntry) return undefined;
  return reading(() => {
    const { chat: of, epoch, migrationId, step: message } = HandOverMessage.decode(body);
    if (of !== chat || epoch < 1 || !isMigrationId(migrationId)) return undefined;
    const step = decodeStep(message);
    return step && { epoch, migrationId, step };
  });
}

type StepMessage = HandOverMessage['step'];

function encodeStep(step: HandOverStep): StepMessage {
  switch (step.kind) {
    case 'stand-by':
      return { $case: 'standBy', value: {} };
    case 'standing':
    case 'ready':
      return { $case: step.kind, value: {} };
    case 'offer':
      return { $case: 'offer', value: { snapshot: encodeCheckpoint(step.snapshot) } };
    case 'declined':
      return { $case: 'declined', value: { reason: step.reason.slice(0, maxReason) } };
    case 'frozen':
      return { $case: 'frozen', value: { lastSeq: step.lastSeq } };
  }
}

function decodeStep(message: StepMessage): HandOverStep | undefined {
  switch (message?.$case) {
    case 'standBy':
      return { kind: 'stand-by' };
    case 'standing':
    case 'ready':
      return { kind: message.$case };
    case 'offer': {
      const snapshot = message.value.snapshot && decodeCheckpoint(message.value.snapshot);
      return snapshot && { kind: 'offer', snapshot };
    }
    case 'declined':
      return { kind: 'declined', reason: message.value.reason.replaceAll(/\s+/g, ' ').slice(0, maxReason) };
    case 'frozen':
      return { kind: 'frozen', lastSeq: message.value.lastSeq };
    case undefined:
      return undefined;
  }
}
