import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { appendFile, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openLedger } from '../../../services/broker/store/disk-ledger.ts';
import type { Ledger } from '../../../services/broker/store/ledger.ts';
import { openNodeDisk } from '../../../services/broker/store/node-disk.ts';
import { messageWith, numbered } from './messages.ts';

let parent: string;
let directory: string;
const children: ChildProcess[] = [];

beforeEach(async () => {
  parent = await mkdtemp(join(tmpdir(), 'warren-store-'));
  directory = join(parent, 'broker', 'log');
});

afterEach(async () => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
  await rm(parent, { recursive: true, force: true });
});

const synced = (ledger: Ledger): Promise<void> => new Promise(resolve => ledger.sync(resolve));

async function indexes(): Promise<{ indexes: number[]; cutBytes: number }> {
  await using disk = await openNodeDisk(directory);
  const { ledger, recovered } = await openLedger(disk);
  await ledger.close();
  return { indexes: (recovered.messages.get('q') ?? []).map(({ index }) => index), cutBytes: recovered.cutBytes };
}

test('what was synced is there when the store is opened again, for its owner only', async () => {
  {
    await using disk = await openNodeDisk(directory);
    const { ledger } = await openLedger(disk);
    ledger.putQueue({ name: 'q' });
    for (let i = 0; i < 100; i++) ledger.putMessage('q', i, messageWith({ body: Buffer.alloc(i * 1_000, i) }));
    ledger.settle('q', 50);
    await synced(ledger);
    // No close: as if killed.
  }
  expect((await stat(directory)).mode & 0o777).toBe(0o700);
  for (const name of await readdir(directory)) expect((await stat(join(directory, name))).mode & 0o777).toBe(0o600);
  const found = await indexes();
  expect(found).toEqual({ indexes: Array.from({ length: 100 }, (_, i) => i).filter(i => i !== 50), cutBytes: 0 });
});

test('a torn tail is cut from the file', async () => {
  {
    await using disk = await openNodeDisk(directory);
    const { ledger } = await openLedger(disk);
    ledger.putQueue({ name: 'q' });
    ledger.putMessage('q', 0, numbered(0));
    await ledger.close();
  }
  await appendFile(join(directory, '00000001.log'), 'half a record');
  expect(await indexes()).toEqual({ indexes: [0], cutBytes: 13 });
  expect(await readFile(join(directory, '00000001.log'), 'latin1')).not.toContain('half');
});

test('segments that nobody needs are removed', async () => {
  await using disk = await openNodeDisk(directory);
  const { ledger } = await openLedger(disk, { segmentBytes: 20_000, garbageBytes: 50_000 });
  ledger.putQueue({ name: 'q' });
  for (let i = 0; i < 500; i++) {
    ledger.putMessage('q', i, messageWith({ body: Buffer.alloc(1_000) }));
    ledger.settle('q', i);
    if (i % 10 === 0) await synced(ledger);
  }
  while (ledger.stats.bytesOnDisk > 100_000) await synced(ledger);
  await ledger.close();
  expect((await readdir(directory)).length).toBeLessThan(10);
});

test('a directory serves one process at a time, also two stores in the same', async () => {
  const disk = await openNodeDisk(directory);
  await expect(openNodeDisk(directory)).rejects.toMatchObject({
    code: 'STORE_LOCKED',
    message: `${directory} is in use by process ${process.pid}: stop it, or choose another directory`,
  });
  await disk.close();
  await (await openNodeDisk(directory)).close();
  expect(await readdir(directory)).toEqual([]);
});

test('the lock of a living process holds, that of a dead one is taken over', async () => {
  await (await openNodeDisk(directory)).close();
  const child = spawn('sleep', ['60'], { stdio: 'ignore' });
  children.push(child);
  await writeFile(join(directory, 'store.lock'), `${child.pid} \n`);
  await expect(openNodeDisk(directory)).rejects.toMatchObject({ code: 'STORE_LOCKED' });
  const ended = new Promise(resolve => child.once('exit', resolve));
  child.kill('SIGKILL');
  await ended;
  await (await openNodeDisk(directory)).close();
});

test.runIf(process.platform === 'linux')('a lock whose process id was given to another is taken over', async () => {
  await (await openNodeDisk(directory)).close();
  await writeFile(join(directory, 'store.lock'), `${process.pid} another-boot:1\n`);
  await (await openNodeDisk(directory)).close();
});

/** A file system of its own of 4 MiB; undefined when we may not make one. */
function mountSmall(at: string): (() => void) | undefined {
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'tmpfs', at], { stdio: 'ignore' });
    return () => void execFileSync('umount', ['-l', at], { stdio: 'ignore' });
  } catch {
    return undefined;
  }
}

test('a full disk: told once, nothing confirmed until there is room, then everything; nothing lost', async context => {
  const unmount = mountSmall(parent);
  if (!unmount) return context.skip('only root can mount a small file system');
  try {
    await writeFile(join(parent, 'ballast'), Buffer.alloc(2 * 1024 * 1024));
    const told: string[] = [];
    let confirmed = 0;
    {
      await using disk = await openNodeDisk(directory);
      const { ledger } = await openLedger(disk, { retryMs: 20 });
      const full = new Promise<void>(resolve =>
        ledger.onError(({ code, message }) => {
          told.push(code);
          expect(message).toContain('no space left for');
          resolve();
        }),
      );
      const resumed = new Promise<void>(resolve => ledger.onResume(resolve));
      ledger.putQueue({ name: 'q' });
      const said = 30;
      for (let i = 0; i < said; i++) {
        ledger.putMessage('q', i, messageWith({ body: Buffer.alloc(100_000, i) }));
        ledger.sync(() => {
          confirmed = i + 1;
        });
        await new Promise(resolve => setTimeout(resolve, 2));
      }
      await full;
      const before = confirmed;
      expect(before).toBeLessThan(said);
      await new Promise(resolve => setTimeout(resolve, 100));
      expect({ confirmed, told }).toEqual({ confirmed: before, told: ['DISK_FULL'] });
      expect(ledger.stats.unsyncedBytes).toBeGreaterThan(100_000);
      // What is confirmed is whole although the disk is full of a half-written flush.
      await rm(join(parent, 'ballast'));
      await resumed;
      await synced(ledger);
      expect(confirmed).toBe(said);
      await ledger.close();
    }
    expect(await indexes()).toEqual({ indexes: Array.from({ length: 30 }, (_, i) => i), cutBytes: 0 });
  } finally {
    unmount();
  }
});

test('a full disk at the end: closing fails, and what was confirmed is there afterwards', async context => {
  const unmount = mountSmall(parent);
  if (!unmount) return context.skip('only root can mount a small file system');
  try {
    let confirmed = 0;
    {
      await using disk = await openNodeDisk(directory);
      const { ledger } = await openLedger(disk, { retryMs: 20 });
      const full = new Promise<void>(resolve => ledger.onError(() => resolve()));
      ledger.putQueue({ name: 'q' });
      for (let i = 0; i < 60; i++) {
        ledger.putMessage('q', i, messageWith({ body: Buffer.alloc(100_000, i) }));
        ledger.sync(() => {
          confirmed = i + 1;
        });
        await new Promise(resolve => setTimeout(resolve, 2));
      }
      await full;
      await expect(ledger.close()).rejects.toMatchObject({ code: 'DISK_FULL' });
    }
    expect(confirmed).toBeGreaterThan(5);
    // Without room for the mark of closing either, so killed.
    await using disk = await openNodeDisk(directory);
    const { recovered } = await openLedger(disk);
    const found = (recovered.messages.get('q') ?? []).map(({ index }) => index);
    expect(found.length).toBeGreaterThanOrEqual(confirmed);
    expect(found).toEqual(found.map((_, i) => i));
  } finally {
    unmount();
  }
});
