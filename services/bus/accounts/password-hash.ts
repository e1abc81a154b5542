import { createHash } from 'node:crypto';

/** What RabbitMQ calls it, and the embedded broker. */
export const hashingAlgorithm = 'rabbit_password_hashing_sha256';

/**
 * A password as brokers keep it (https://www.rabbitmq.com/docs/passwords), in base64. Fast to compute, so for passwords of 128
 * random bits or more only.
 * @param salt four bytes, at random
 */
export function hashBrokerPassword(password: string, salt: Uint8Array): string {
  const hash = createHash('sha256').update(salt).update(password).digest();
  return Buffer.concat([salt, hash]).toString('base64');
}
