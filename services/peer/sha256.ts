import { createHash, hash } from 'node:crypto';
import type { Sha256 } from './merkle.ts';

export const sha256: Sha256 = (...bytes) => {
  const [first] = bytes;
  if (first !== undefined && bytes.length === 1) return hash('sha256', first, 'buffer');
  const hashing = createHash('sha256');
  for (const each of bytes) hashing.update(each);
  return hashing.digest();
};
