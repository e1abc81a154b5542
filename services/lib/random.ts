import { randomFillSync, randomUUID } from 'node:crypto';

const pool = Buffer.alloc(8192);
let used = pool.length;

function take(bytes: number): number {
  if (used + bytes > pool.length) {
    randomFillSync(pool);
    used = 0;
  }
  const at = used;
  used += bytes;
  return at;
}

/** That many random hexadecimal digits (even), from the system's generator, drawn in bulk. */
export function randomHex(digits: number): string {
  const bytes = digits / 2;
  const at = take(bytes);
  const text = pool.toString('hex', at, at + bytes);
  pool.fill(0, at, at + bytes);
  return text;
}

/** An unguessable id: 122 random bits (RFC 9562 UUID version 4). */
export function randomId(): string {
  return randomUUID();
}
