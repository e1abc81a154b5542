import type { Entry, Input } from '../../../services/chat/core/entry.ts';
import type { MemberId } from '../../../services/lib/identity/member-id.ts';

export function describe(entry: Entry | undefined): string {
  switch (entry?.kind) {
    case undefined:
      return 'what cannot be read';
    case 'epoch':
      return `EPOCH(${entry.epoch}, ${entry.migrationId})`;
    case 'input':
      return `${entry.epoch}/${entry.seq} ${describeInput(entry.input)}`;
    case 'refused':
      return `${entry.epoch}/${entry.seq} a refusal`;
    case 'opens':
    case 'checkpoint':
      return `${entry.epoch}/${entry.seq} ${entry.kind}`;
  }
}

export function describeInput({ sender, counter, operation }: Input): string {
  const what = operation.kind === 'message' ? `“${operation.text}”` : operation.kind;
  return `${what} (${nameOf(sender)}’s ${counter})`;
}

/** Members are `memberOf(0)`, … and called A, B, … */
export function nameOf(member: MemberId | undefined): string {
  return 'ABCDEFG'[Number(member?.[0])] ?? 'nobody';
}

export function memberOf(place: number): MemberId {
  return String(place).repeat(64) as MemberId;
}
