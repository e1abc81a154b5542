import { createPrivateKey, createPublicKey, diffieHellman, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { Failure } from '../failure.ts';

// X25519 (RFC 7748). Raw keys have 32 bytes; this stands before them in SubjectPublicKeyInfo and PKCS #8 (RFC 8410).
const spkiPrefix = Buffer.from('302a300506032b656e032100', 'hex');
const pkcs8Prefix = Buffer.from('302e020100300506032b656e04220420', 'hex');

export function newX25519Key(): KeyObject {
  return generateKeyPairSync('x25519').privateKey;
}

export function rawPublicKeyOf(privateKey: KeyObject): Uint8Array {
  return createPublicKey(privateKey).export({ type: 'spki', format: 'der' }).subarray(spkiPrefix.length);
}

export function rawPrivateKeyOf(privateKey: KeyObject): Uint8Array {
  return privateKey.export({ type: 'pkcs8', format: 'der' }).subarray(pkcs8Prefix.length);
}

/** @param raw of the private key */
export function x25519KeyOf(raw: Uint8Array): KeyObject {
  return createPrivateKey({ key: Buffer.concat([pkcs8Prefix, raw]), format: 'der', type: 'pkcs8' });
}

/**
 * What only the holders of either private key can know.
 * @param others raw public key
 * @throws Failure IDENTITY_KEY when it is no key, or one of those with which all secrets are alike
 */
export function sharedSecret(privateKey: KeyObject, others: Uint8Array): Buffer {
  if (others.length !== 32) throw new Failure('IDENTITY_KEY', 'a key of another length');
  try {
    const publicKey = createPublicKey({ key: Buffer.concat([spkiPrefix, others]), format: 'der', type: 'spki' });
    return diffieHellman({ privateKey, publicKey });
  } catch (cause) {
    throw new Failure('IDENTITY_KEY', 'not an X25519 key', { cause });
  }
}
