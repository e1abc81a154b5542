import { isMemberId, type MemberId } from '../lib/identity/member-id.ts';
import { maxMigrationId } from './core/bounds.ts';

const memberOctets = 32;

export function encodeMember(id: MemberId): Buffer {
  return Buffer.from(id, 'hex');
}

export function decodeMember(octets: Uint8Array): MemberId | undefined {
  const id = octets.length === memberOctets ? asBuffer(octets).toString('hex') : '';
  return isMemberId(id) ? id : undefined;
}

/** Printable, so that it can stand in a naming record and on a screen. */
export function isMigrationId(id: string): boolean {
  return id.length <= maxMigrationId && /^[\w.-]+$/.test(id);
}

export function asBuffer(octets: Uint8Array): Buffer {
  return Buffer.from(octets.buffer, octets.byteOffset, octets.byteLength);
}

/** What a stranger wrote may be anything. @returns undefined when it cannot be read */
export function reading<T>(decode: () => T | undefined): T | undefined {
  try {
    return decode();
  } catch {
    return undefined;
  }
}
