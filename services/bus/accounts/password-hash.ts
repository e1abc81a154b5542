import { createHash, timingSafeEqual } from 'node:crypto';

/** What RabbitMQ calls it, and the embedded broker. */
export const hashingAlgorithm = 'rabbit_password_hashing_sha256';

const saltBytes = 4;
const hashBytes = 32;

/**
 * A password as brokers keep it (https://www.rabbitmq.com/docs/passwords), in base64. Fast to compute, so for passwords of 128
 * random bits or more only.
 * @param salt four bytes, at random
 */
export function hashBrokerPassword(password: string, salt: Uint8Array): string {
  const hash = createHash('sha256').update(salt).update(password).digest();
  return Buffer.concat([salt, hash]).toString('base64');
}

export function isBrokerPassword(password: string, hash: string): boolean {
  const bytes = Buffer.from(hash, 'base64');
  const found = Buffer.from(hashBrokerPassword(password, bytes.subarray(0, saltBytes)), 'base64');
  return found.length === bytes.length && timingSafeEqual(found, bytes);
}

/** Whether it can be one. */
export function isBrokerPasswordHash(text: string): boolean {
  const bytes = Buffer.from(text, 'base64');
  return bytes.length === saltBytes + hashBytes && bytes.toString('base64') === text;
}
