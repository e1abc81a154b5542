import type { Entry, Input, Logged, Operation } from '../../services/chat/core/entry.ts';
import type { MemberId } from '../../services/lib/identity/member-id.ts';

export const [alice, bob, carol] = ['a', 'b', 'c'].map(digit => digit.repeat(64) as MemberId) as [
  MemberId,
  MemberId,
  MemberId,
];

const noProof = { said: new Uint8Array(), publicKey: new Uint8Array(), signature: new Uint8Array() };

export function input(sender: MemberId, counter: number, operation: Operation, session = 7): Input {
  return { sender, session, counter, sentAtMs: 0, operation, proof: noProof };
}

export function message(text: string, room = 'lobby'): Operation {
  return { kind: 'message', room, text, mentions: [] };
}

export function epoch(number: number, minN = 0): Entry {
  return { kind: 'epoch', epoch: number, migrationId: `m${number}`, minN };
}

/** An input as epoch 1 has it, unless said otherwise. */
export function written(seq: number, of: Input, number = 1): Entry {
  return { kind: 'input', epoch: number, seq, input: of };
}

export function logged(offset: number, from: MemberId | undefined, entry: Entry | undefined): Logged {
  return { offset, from, entry, size: 100, atMs: 0 };
}

/** One after the other, from offset 0. */
export function inOrder(...entries: readonly (readonly [MemberId, Entry])[]): Logged[] {
  return entries.map(([from, entry], offset) => logged(offset, from, entry));
}
