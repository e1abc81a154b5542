import { createHash, type Hash } from 'node:crypto';
import { once } from 'node:events';
import type { Readable, Writable } from 'node:stream';

/** One MiB that repeats nowhere within itself. */
const block = Buffer.alloc(1024 * 1024);
for (let i = 0, x = 1; i < block.length; i++) {
  x = (Math.imul(x, 1_103_515_245) + 12_345) >>> 0;
  block[i] = x >>> 24;
}

/** Byte `at` of the pattern lies at `at` modulo a prime, so that no two blocks are alike. */
export function patternedBlock(index: number): Buffer {
  const shift = (index * 7919) % block.length;
  return Buffer.concat([block.subarray(shift), block.subarray(0, shift)]);
}

/** SHA-256 of so many MiB of the pattern. */
export function patternHash(mebibytes: number): string {
  const hash = createHash('sha256');
  for (let i = 0; i < mebibytes; i++) hash.update(patternedBlock(i));
  return hash.digest('hex');
}

/** Writes so many MiB, as fast as they are taken, and ends. */
export async function writePattern(to: Writable, mebibytes: number): Promise<void> {
  for (let i = 0; i < mebibytes; i++) if (!to.write(patternedBlock(i))) await once(to, 'drain');
  to.end();
}

/** Reads to the end. @returns SHA-256 */
export async function hashOf(from: Readable): Promise<string> {
  const hash: Hash = createHash('sha256');
  for await (const chunk of from) hash.update(chunk as Buffer);
  return hash.digest('hex');
}
