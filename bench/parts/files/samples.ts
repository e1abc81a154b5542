import { createCipheriv, createHash, hash } from 'node:crypto';
import {
  closeSync,
  createReadStream,
  linkSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import type { Wanted } from './contestant.ts';

/** Files to move, and what must arrive. */
export interface Sample extends Wanted {
  /** SHA-256 by path below the served folder, hexadecimal. */
  readonly hashes: ReadonlyMap<string, string>;
}

/** Bytes that no two pieces share, and that do not compress: the key stream of a cipher. */
function* noise(bytes: number): Generator<Buffer> {
  const cipher = createCipheriv('aes-128-ctr', Buffer.alloc(16, 'warren'), Buffer.alloc(16));
  const zeros = Buffer.alloc(2 ** 20);
  for (let left = bytes; left > 0; left -= zeros.length)
    yield cipher.update(zeros.subarray(0, Math.min(left, zeros.length)));
}

/** One file of so many bytes in `dir`. */
export function createLargeFile(dir: string, bytes: number): Sample {
  const name = 'large.bin';
  mkdirSync(dir, { recursive: true });
  const file = openSync(join(dir, name), 'w');
  const all = createHash('sha256');
  for (const block of noise(bytes)) {
    all.update(block);
    writeSync(file, block);
  }
  closeSync(file);
  return { name, files: [name], bytes, hashes: new Map([[name, all.digest('hex')]]) };
}

/** Files of 1 B to 64 KiB, half of them below 256 B, 100 a folder. */
export function createSmallFiles(dir: string, count: number): Sample {
  const name = 'small';
  const hashes = new Map<string, string>();
  let bytes = 0;
  let block = Buffer.alloc(0);
  const blocks = noise(Number.POSITIVE_INFINITY);
  for (let index = 0; index < count; index++) {
    // 1, 2, 4 … 64 Ki, and again. None is empty: WebTorrent does not make those.
    const size = 2 ** (index % 17);
    if (block.length < size) block = blocks.next().value ?? block;
    const body = block.subarray(0, size);
    block = block.subarray(size);
    const file = `${name}/${String(Math.floor(index / 100)).padStart(4, '0')}/${index}.bin`;
    if (index % 100 === 0) mkdirSync(dirname(join(dir, file)), { recursive: true });
    writeFileSync(join(dir, file), body);
    hashes.set(file, hash('sha256', body, 'hex'));
    bytes += size;
  }
  return { name, files: [...hashes.keys()], bytes, hashes };
}

/** Files that are only there to be looked at: 1,000 a folder. */
export function createManyFiles(dir: string, count: number): void {
  for (let index = 0; index < count; index++) {
    const folder = join(dir, String(Math.floor(index / 1000)).padStart(4, '0'));
    if (index % 1000 === 0) mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, `${index}.txt`), `file ${index}\n`);
  }
}

/** Ten files of a GiB, each of its own content, that take no room on the disk: to be hashed. */
export function createSparseFiles(dir: string): void {
  mkdirSync(dir, { recursive: true });
  for (let index = 0; index < 10; index++) {
    const path = join(dir, `sparse ${index}.bin`);
    writeFileSync(path, `${index}`);
    truncateSync(path, 2 ** 30);
  }
}

/** The same files once more, without their bytes. */
export function linkAll(from: string, to: string): void {
  mkdirSync(to, { recursive: true });
  for (const entry of readdirSync(from, { withFileTypes: true }))
    if (entry.isDirectory()) linkAll(join(from, entry.name), join(to, entry.name));
    else linkSync(join(from, entry.name), join(to, entry.name));
}

/** @throws when any file in `dir` is not what it should be */
export async function checkHashes(dir: string, { hashes }: Sample): Promise<void> {
  for (const [file, expected] of hashes) {
    const path = join(dir, file);
    const found = hashes.size > 1 ? hash('sha256', readFileSync(path), 'hex') : await hashOf(path);
    if (found !== expected) throw new Error(`${file} arrived with other bytes`);
  }
}

async function hashOf(path: string): Promise<string> {
  const all = createHash('sha256');
  await pipeline(createReadStream(path, { highWaterMark: 2 ** 20 }), all);
  return all.digest('hex');
}
