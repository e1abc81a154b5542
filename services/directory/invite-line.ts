import { createHash, hkdfSync } from 'node:crypto';
import { InviteLine } from '../../proto/gen/warren/directory/v1/enrolment.ts';
import { Failure } from '../lib/failure.ts';

/** What stands before all lines of this kind, so that people and programs know one. */
const prefix = 'warren1-';
const checksumBytes = 4;
/** Longer is no invite, whatever it is. */
const longest = 4_096;

/** @returns one word, safe to copy: letters, digits, `-` and `_` */
export function formatInviteLine(line: InviteLine): string {
  const bytes = InviteLine.encode(line).finish();
  return prefix + Buffer.concat([bytes, checksumOf(bytes)]).toString('base64url');
}

/** @throws Failure JOIN_LINE: it was cut, mistyped, or is something else */
export function parseInviteLine(text: string): InviteLine {
  const word = text.trim();
  if (!word.startsWith(prefix) || word.length > longest)
    throw new Failure('JOIN_LINE', `not an invite: one begins with ${prefix} (see warren invite)`);
  const broken = new Failure('JOIN_LINE', 'the invite is not complete, or mistyped: copy the whole line once more');
  if (!/^[\w-]+$/.test(word)) throw broken;
  const bytes = Buffer.from(word.slice(prefix.length), 'base64url');
  // The last letter's spare bits are not in the bytes: one that was mistyped is seen only by writing them again.
  if (bytes.toString('base64url') !== word.slice(prefix.length)) throw broken;
  const body = bytes.subarray(0, -checksumBytes);
  if (!checksumOf(body).equals(bytes.subarray(-checksumBytes))) throw broken;
  const line = decode(body);
  if (line === undefined || line.secret.length !== 32 || line.sealingKey.length !== 32 || line.brokerUrls.length === 0)
    throw new Failure('JOIN_LINE', 'the invite is of another version of Warren');
  return line;
}

function decode(bytes: Uint8Array): InviteLine | undefined {
  try {
    return InviteLine.decode(bytes);
  } catch {
    return undefined;
  }
}

function checksumOf(bytes: Uint8Array): Buffer {
  return createHash('sha256').update(bytes).digest().subarray(0, checksumBytes);
}

/** What an invite's secret is good for. Neither tells of the other, so the broker that sees the password cannot enrol. */
export function inviteSecrets(secret: Uint8Array): { readonly brokerPassword: string; readonly proof: Buffer } {
  const derive = (purpose: string): Buffer =>
    Buffer.from(hkdfSync('sha256', secret, '', `warren invite ${purpose}`, 32));
  return { brokerPassword: derive('broker').toString('hex'), proof: derive('proof') };
}
