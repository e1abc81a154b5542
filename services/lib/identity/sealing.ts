import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto';
import { Failure } from '../failure.ts';
import { newX25519Key, rawPrivateKeyOf, rawPublicKeyOf, sharedSecret, x25519KeyOf } from './x25519.ts';

/** X25519 (RFC 7748), for what only the holder of the private key is to read. Both raw, 32 bytes. */
export interface SealingKeys {
  readonly publicKey: Uint8Array;
  /** A secret. */
  readonly privateKey: Uint8Array;
}

const nonceBytes = 12;
const tagBytes = 16;

export function createSealingKeys(): SealingKeys {
  const key = newX25519Key();
  return { publicKey: rawPublicKeyOf(key), privateKey: rawPrivateKeyOf(key) };
}

/**
 * A key that only the holders of either private key can make, for one purpose.
 * @param context the purpose, and all that it is bound to
 * @returns 32 bytes
 * @throws Failure IDENTITY_KEY when the other's is no key, or one of those with which all secrets are alike
 */
export function sharedKey(own: Uint8Array, others: Uint8Array, context: string): Uint8Array {
  const secret = sharedSecret(x25519KeyOf(own), others);
  return new Uint8Array(hkdfSync('sha256', secret, '', context, 32));
}

/** AES-256-GCM under a random nonce, for a few messages a key. @returns nonce, ciphertext, tag */
export function seal(key: Uint8Array, text: Uint8Array): Buffer {
  const nonce = randomBytes(nonceBytes);
  const cipher = createCipheriv('aes-256-gcm', key, nonce);
  return Buffer.concat([nonce, cipher.update(text), cipher.final(), cipher.getAuthTag()]);
}

/** @throws Failure IDENTITY_SEAL when it was not sealed with that key, or changed */
export function unseal(key: Uint8Array, sealed: Uint8Array): Buffer {
  try {
    const decipher = createDecipheriv('aes-256-gcm', key, sealed.subarray(0, nonceBytes), { authTagLength: tagBytes });
    decipher.setAuthTag(sealed.subarray(-tagBytes));
    return Buffer.concat([decipher.update(sealed.subarray(nonceBytes, -tagBytes)), decipher.final()]);
  } catch (cause) {
    throw new Failure('IDENTITY_SEAL', 'cannot be unsealed with this key', { cause });
  }
}
