import { CallFailure } from '../lib/rpc/call-failure.ts';
import { type Identifier, identifierOfHash, parseIdentifier } from './identifier.ts';
import { sha256 } from './wire.ts';

/** Bytes of a key as text. */
const maxKey = 1_024;

/**
 * Where a key lies: by its SHA-256; 40 lower-case hexadecimal digits are a place themselves.
 * @throws CallFailure CHORD_KEY
 */
export function placeOfKey(key: string): Identifier {
  const octets = Buffer.from(key);
  if (octets.length === 0 || octets.length > maxKey)
    throw new CallFailure('INVALID_ARGUMENT', 'CHORD_KEY', `a key has 1 to ${maxKey} bytes`);
  return parseIdentifier(key) ?? identifierOfHash(sha256(octets));
}

/** @param fileId 64 lower-case hexadecimal digits @throws CallFailure CHORD_FILE_ID */
export function placeOfFile(fileId: string): Identifier {
  if (!/^[0-9a-f]{64}$/.test(fileId))
    throw new CallFailure('INVALID_ARGUMENT', 'CHORD_FILE_ID', 'a file id has 64 lower-case hexadecimal digits');
  return identifierOfHash(Buffer.from(fileId, 'hex'));
}
