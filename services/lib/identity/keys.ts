import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  sign,
  verify,
} from 'node:crypto';
import { Failure } from '../failure.ts';
import type { MemberId } from './member-id.ts';

/** Ed25519 (RFC 8032). Whoever has them is the member. */
export interface MemberKeys {
  readonly id: MemberId;
  /** Raw, 32 bytes. */
  readonly publicKey: Uint8Array;
  readonly privateKey: KeyObject;
}

export function createMemberKeys(): MemberKeys {
  return keysOf(generateKeyPairSync('ed25519').privateKey);
}

/** PKCS #8 in PEM: a secret. */
export function formatMemberKeys({ privateKey }: MemberKeys): string {
  return privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
}

/** @throws Failure IDENTITY_KEY */
export function parseMemberKeys(pem: string): MemberKeys {
  let privateKey: KeyObject;
  try {
    privateKey = createPrivateKey(pem);
  } catch (cause) {
    throw new Failure('IDENTITY_KEY', 'not a private key in PEM', { cause });
  }
  if (privateKey.asymmetricKeyType !== 'ed25519')
    throw new Failure('IDENTITY_KEY', `a key of type ${privateKey.asymmetricKeyType}, where Ed25519 is wanted`);
  return keysOf(privateKey);
}

function keysOf(privateKey: KeyObject): MemberKeys {
  const publicKey = rawKeyOf(createPublicKey(privateKey));
  return { id: memberIdOf(publicKey), publicKey, privateKey };
}

export function memberIdOf(publicKey: Uint8Array): MemberId {
  return createHash('sha256').update(publicKey).digest('hex') as MemberId;
}

/**
 * Signs bytes for one purpose, so that a signature made for one kind of message never counts for another.
 * @param context the message's full name in proto, which has no NUL
 * @returns 64 bytes: Ed25519 over context, NUL, bytes
 */
export function signAs({ privateKey }: MemberKeys, context: string, bytes: Uint8Array): Uint8Array {
  return sign(null, inContext(context, bytes), privateKey);
}

/** @param publicKey raw, as its sender says; whose it is, `memberIdOf` tells. False for what is no key or no signature. */
export function isSignedBy(publicKey: Uint8Array, context: string, bytes: Uint8Array, signature: Uint8Array): boolean {
  if (publicKey.length !== keyBytes || signature.length !== signatureBytes) return false;
  try {
    return verify(null, inContext(context, bytes), publicKeyOf(publicKey), signature);
  } catch {
    return false;
  }
}

const keyBytes = 32;
const signatureBytes = 64;

/** SubjectPublicKeyInfo of an Ed25519 key (RFC 8410), which the raw key follows. */
const spkiPrefix = Buffer.from('302a300506032b6570032100', 'hex');

export function publicKeyOf(raw: Uint8Array): KeyObject {
  return createPublicKey({ key: Buffer.concat([spkiPrefix, raw]), format: 'der', type: 'spki' });
}

/** @throws Failure IDENTITY_KEY when it is no Ed25519 key */
export function rawKeyOf(key: KeyObject): Uint8Array {
  if (key.asymmetricKeyType !== 'ed25519')
    throw new Failure('IDENTITY_KEY', `a key of type ${key.asymmetricKeyType}, where Ed25519 is wanted`);
  return key.export({ type: 'spki', format: 'der' }).subarray(spkiPrefix.length);
}

function inContext(context: string, bytes: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from(`${context}\0`), bytes]);
}
