import { expect, test } from 'vitest';
import { openLedger } from '../../../services/broker/store/disk-ledger.ts';
import { crc, encodeFrame, frameBytes, markOf } from '../../../services/broker/store/frame.ts';
import { encodeHeader } from '../../../services/broker/store/segment-header.ts';
import { seededRandom } from '../../support/seeded.ts';
import { messageWith, numbered } from './messages.ts';
import { SimulatedDisk } from './simulated-disk.ts';

const first = '00000001.log';
const synced = (ledger: { sync(callback: () => void): void }): Promise<void> =>
  new Promise(resolve => ledger.sync(resolve));

/** A store of some confirmed flushes of one message each, its process killed. */
async function store(flushes: number, segmentBytes = 1e6): Promise<SimulatedDisk> {
  const disk = new SimulatedDisk(seededRandom(1));
  const { ledger } = await openLedger(disk, { segmentBytes, salt: () => 7 });
  ledger.putQueue({ name: 'q' });
  for (let i = 0; i < flushes; i++) {
    ledger.putMessage('q', i, numbered(i));
    await synced(ledger);
  }
  return disk.kill();
}

async function indexes(disk: SimulatedDisk): Promise<{ indexes: number[]; cutBytes: number }> {
  const { recovered } = await openLedger(disk);
  return { indexes: (recovered.messages.get('q') ?? []).map(({ index }) => index), cutBytes: recovered.cutBytes };
}

test('a torn tail is cut, and its length told', async () => {
  const disk = await store(3);
  disk.change(first, content => Buffer.concat([content, Buffer.from('half a record')]));
  expect(await indexes(disk)).toEqual({ indexes: [0, 1, 2], cutBytes: 13 });
  expect(await indexes(disk.kill())).toEqual({ indexes: [0, 1, 2], cutBytes: 0 });
});

test('a last record that is cut short goes whole', async () => {
  const disk = await store(3);
  disk.change(first, content => content.subarray(0, -1));
  expect((await indexes(disk)).indexes).toEqual([0, 1]);
});

test('a file that got no further than a part of its header is no damage', async () => {
  const disk = await store(3);
  disk.change('00000002.log', () => encodeHeader(7).subarray(0, 20));
  expect(await indexes(disk)).toEqual({ indexes: [0, 1, 2], cutBytes: 20 });
});

test.each<[what: string, at: (content: Buffer) => number, says: string]>([
  ['in its header', () => 3, `simulated/${first} is damaged at byte 0`],
  ['in a length', content => content.indexOf('message 1') - 60, `simulated/${first} is damaged at byte`],
  ['in a message', content => content.indexOf('message 1'), `simulated/${first} is damaged at byte`],
])('one bad byte %s before later flushes is told, with file and place', async (_what, at, says) => {
  const disk = await store(3);
  disk.change(first, content => {
    const changed = Buffer.from(content);
    changed[at(content)] = (changed[at(content)] ?? 0) ^ 1;
    return changed;
  });
  await expect(openLedger(disk)).rejects.toMatchObject({
    code: 'STORE_DAMAGED',
    message: expect.stringContaining(says),
  });
});

test('a bad byte in the last flush is told too once the store was closed', async () => {
  const disk = new SimulatedDisk(seededRandom(1));
  const { ledger } = await openLedger(disk);
  ledger.putQueue({ name: 'q' });
  ledger.putMessage('q', 0, numbered(0));
  await ledger.close();
  disk.change(first, content => Buffer.from(content.toString('latin1').replace('message 0', 'massage 0'), 'latin1'));
  await expect(openLedger(disk.kill())).rejects.toMatchObject({ code: 'STORE_DAMAGED' });
});

test('a bad record in an earlier file is damage, also the last one there', async () => {
  const disk = await store(30, 500);
  disk.change('00000002.log', content => content.subarray(0, -1));
  await expect(openLedger(disk)).rejects.toMatchObject({
    code: 'STORE_DAMAGED',
    message: expect.stringContaining('simulated/00000002.log is damaged at byte'),
  });
});

test('a missing file in between is damage', async () => {
  const disk = await store(30, 500);
  await disk.remove('00000002.log');
  await expect(openLedger(disk)).rejects.toMatchObject({
    code: 'STORE_DAMAGED',
    message: expect.stringContaining('simulated/00000002.log is missing, others follow it'),
  });
});

test('a store of a newer format is left alone', async () => {
  const disk = await store(1);
  disk.change(first, content => {
    const changed = Buffer.from(content);
    changed.writeUInt32BE(99, frameBytes + 8);
    const mark = markOf(0, 0, 16, 0);
    encodeFrame(changed, 0, {
      length: 16,
      batchStart: 0,
      mark,
      checksum: crc(changed.subarray(frameBytes, frameBytes + 16), mark),
    });
    return changed;
  });
  await expect(openLedger(disk)).rejects.toMatchObject({
    code: 'STORE_VERSION',
    message: expect.stringContaining('has format 99'),
  });
});

test('a message that looks like the store itself does not make a torn tail look like damage', async () => {
  const disk = await store(20);
  const { ledger } = await openLedger(disk, { salt: () => 7 });
  const copy = disk.content(first);
  // Two in one flush: the first is torn, the second holds whole records of an earlier life, with their flushes.
  ledger.putMessage('q', 100, numbered(100));
  ledger.putMessage('q', 101, messageWith({ body: Buffer.concat([copy, copy]) }));
  await synced(ledger);
  const after = disk.kill();
  after.change(first, content => {
    const changed = Buffer.from(content);
    changed[copy.length] = 0xff;
    return changed;
  });
  expect((await indexes(after)).indexes).toEqual(Array.from({ length: 20 }, (_, i) => i));
});

test('a record that goes bad while the store is open stops cleaning, is told, and loses nothing else', async () => {
  const disk = new SimulatedDisk(seededRandom(1));
  const { ledger } = await openLedger(disk, { segmentBytes: 500, garbageBytes: 1_000 });
  const codes: string[] = [];
  ledger.onError(({ code }) => codes.push(code));
  ledger.putQueue({ name: 'q' });
  ledger.putQueue({ name: 'kept' });
  ledger.putMessage('kept', 0, messageWith({ body: Buffer.from('rotten') }));
  for (let i = 0; i < 8; i++) ledger.putMessage('q', i, numbered(i));
  await synced(ledger);
  disk.change(first, content => Buffer.from(content.toString('latin1').replace('rotten', 'rotted'), 'latin1'));
  for (let i = 8; i < 60; i++) {
    ledger.putMessage('q', i, numbered(i));
    ledger.settle('q', i);
    await synced(ledger);
  }
  expect(codes).toEqual(['STORE_DAMAGED']);
  expect(await disk.list()).toContain(first);
});
