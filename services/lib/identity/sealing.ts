import {
  createCipheriv,
  createDecipheriv,
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  generateKeyPairSync,
  hkdfSync,
  type KeyObject,
  randomBytes,
} from 'node:crypto';
import { Failure } from '../failure.ts';

/** X25519 (RFC 7748), for what only the holder of the private key is to read. Both raw, 32 bytes. */
export interface SealingKeys {
  readonly publicKey: Uint8Array;
  /** A secret. */
  readonly privateKey: Uint8Array;
}

const nonceBytes = 12;
const tagBytes = 16;
/** What stands before the raw key (RFC 8410). */
const spkiPrefix = Buffer.from('302a300506032b656e032100', 'hex');
const pkcs8Prefix = Buffer.from('302e020100300506032b656e04220420', 'hex');

export function createSealingKeys(): SealingKeys {
  const { publicKey, privateKey } = generateKeyPairSync('x25519');
  return {
    publicKey: publicKey.export({ type: 'spki', format: 'der' }).subarray(spkiPrefix.length),
    privateKey: privateKey.export({ type: 'pkcs8', format: 'der' }).subarray(pkcs8Prefix.length),
  };
}

/**
 * A key that only the holders of either private key can make, for one purpose.
 * @param context the purpose, and all that it is bound to
 * @returns 32 bytes
 * @throws Failure IDENTITY_KEY when the other's is no key, or one of those with which all secrets are alike
 */
export function sharedKey(own: Uint8Array, others: Uint8Array, context: string): Uint8Array {
  let secret: Buffer;
  try {
    secret = diffieHellman({ privateKey: privateKeyOf(own), publicKey: publicKeyOf(others) });
  } catch (cause) {
    throw new Failure('IDENTITY_KEY', 'not an X25519 key', { cause });
  }
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

function publicKeyOf(raw: Uint8Array): KeyObject {
  if (raw.length !== 32) throw new Failure('IDENTITY_KEY', 'a key of another length');
  return createPublicKey({ key: Buffer.concat([spkiPrefix, raw]), format: 'der', type: 'spki' });
}

function privateKeyOf(raw: Uint8Array): KeyObject {
  return createPrivateKey({ key: Buffer.concat([pkcs8Prefix, raw]), format: 'der', type: 'pkcs8' });
}
