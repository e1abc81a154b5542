import { argon2, randomBytes, timingSafeEqual } from 'node:crypto';
import { promisify } from 'node:util';
import { Turns } from '../lib/turns.ts';

/** OWASP's first choice for argon2id (Password Storage Cheat Sheet): 19 MiB, two passes, one lane. */
const cost = { memory: 19 * 1024, passes: 2, parallelism: 1, tagLength: 32 };
const argon2Async = promisify(argon2);

/** A few at a time: each takes 19 MiB and a thread of the pool that files and names need too. */
const turns = new Turns(2);

interface Parsed {
  readonly memory: number;
  readonly passes: number;
  readonly parallelism: number;
  readonly salt: Buffer;
  readonly tag: Buffer;
}

/** @returns PHC string format: `$argon2id$v=19$m=19456,t=2,p=1$salt$tag` */
export async function hashPassword(password: string, signal?: AbortSignal): Promise<string> {
  const salt = randomBytes(16);
  const tag = await derive(password, { ...cost, salt }, cost.tagLength, signal);
  const { memory, passes, parallelism } = cost;
  return `$argon2id$v=19$m=${memory},t=${passes},p=${parallelism}$${base64(salt)}$${base64(tag)}`;
}

/** In the place of a hash, of an account that has no password: none is right. */
export const noPassword = '';

/** @param hash of nobody when undefined: takes as long, and is false @throws the signal's reason, when it aborts in the line */
export async function verifyPassword(
  password: string,
  hash: string | undefined,
  signal?: AbortSignal,
): Promise<boolean> {
  const parsed = hash === undefined || hash === noPassword ? nobody : parse(hash);
  const tag = await derive(password, parsed, parsed.tag.length, signal);
  return timingSafeEqual(tag, parsed.tag) && parsed !== nobody;
}

function derive(
  password: string,
  { memory, passes, parallelism, salt }: Omit<Parsed, 'tag'>,
  tagLength: number,
  signal?: AbortSignal,
): Promise<Buffer> {
  return turns.take(async () => {
    signal?.throwIfAborted();
    // One spelling of what looks the same (RFC 8265 §4.2.2).
    const message = password.normalize('NFC');
    return argon2Async('argon2id', { message, nonce: salt, parallelism, tagLength, memory, passes });
  });
}

const nobody: Parsed = { ...cost, salt: Buffer.alloc(16), tag: Buffer.alloc(cost.tagLength) };

function parse(hash: string): Parsed {
  const [, m, t, p, salt = '', tag = ''] =
    /^\$argon2id\$v=19\$m=(\d+),t=(\d+),p=(\d+)\$([\w+/]+)\$([\w+/]+)$/.exec(hash) ?? [];
  return {
    memory: Number(m),
    passes: Number(t),
    parallelism: Number(p),
    salt: Buffer.from(salt, 'base64'),
    tag: Buffer.from(tag, 'base64'),
  };
}

function base64(bytes: Buffer): string {
  return bytes.toString('base64').replaceAll('=', '');
}
