import { expect, test } from 'vitest';
import { formatBar, glyphsFor } from '../../../services/cli/files/bar.ts';
import { foundTable } from '../../../services/cli/files/tables.ts';
import { doneLine, transferLine, transferLines } from '../../../services/cli/files/transfer-lines.ts';
import type { SourceView, TransferView } from '../../../services/cli/files/transfer-view.ts';
import { formatBytes, formatRate, formatShare, formatTime, parseBytes } from '../../../services/cli/files/units.ts';
import { widthOf } from '../../../services/cli/visible.ts';

const KiB = 1024;
const MiB = KiB * KiB;

test.each([
  [0, '0 B'],
  [1023, '1023 B'],
  [1023.9 * KiB, '1.0 MiB'],
  [1000, '1000 B'],
  [1536, '1.5 KiB'],
  [12.3 * MiB, '12.3 MiB'],
  [310 * MiB, '310 MiB'],
  [MiB * KiB, '1.0 GiB'],
  [2 * MiB * MiB, '2.0 TiB'],
])('%i bytes are %s', (bytes, text) => {
  expect(formatBytes(bytes)).toBe(text);
  expect(formatRate(bytes)).toBe(`${text}/s`);
});

test.each([
  [0, '0.0 s'],
  [420, '0.4 s'],
  [9_960, '10 s'],
  [59_400, '59 s'],
  [59_600, '1 min 00 s'],
  [185_000, '3 min 05 s'],
  [7_800_000, '2 h 10 min'],
  [3_599_600, '1 h 00 min'],
  [345_600_000, '4 d'],
])('%i ms are %s', (ms, text) => expect(formatTime(ms)).toBe(text));

test('a share is never whole too soon, and never nothing too late', () => {
  expect([
    formatShare(0, 0),
    formatShare(0, 10),
    formatShare(1, 1e9),
    formatShare(1e9 - 1, 1e9),
    formatShare(5, 5),
  ]).toEqual(['0 %', '0 %', '1 %', '99 %', '100 %']);
});

test.each([
  ['0', 0],
  ['1500', 1500],
  ['64k', 64 * KiB],
  ['10M', 10 * MiB],
  ['1.5 GiB', 1.5 * KiB * MiB],
  ['2T', 2 * MiB * MiB],
  ['10MB', undefined],
  ['-1', undefined],
  ['', undefined],
  ['ten', undefined],
  ['999999999999999T', undefined],
])('a size typed as %j is %s', (text, bytes) => expect(parseBytes(text)).toBe(bytes));

test('a bar has eighths of a cell where the writing has them, and is always as wide as asked', () => {
  const [blocks, ascii] = [glyphsFor({ LANG: 'de_DE.UTF-8' }), glyphsFor({ LC_ALL: 'C', LANG: 'de_DE.UTF-8' })];
  expect(formatBar(0.5, 8, blocks)).toBe('████░░░░');
  expect(formatBar(0.56, 8, blocks)).toBe('████▍░░░');
  expect(formatBar(0.5, 8, ascii)).toBe('####....');
  for (const share of [-1, 0, 0.001, 1 / 3, 0.999, 1, 2, Number.NaN])
    for (const glyphs of [blocks, ascii]) expect(widthOf(formatBar(share, 20, glyphs))).toBe(20);
});

const ascii = glyphsFor({});
const bob: SourceView = {
  ...{
    memberId: 'cd'.repeat(32),
    name: 'bob',
    state: 'moving',
    way: 'direct',
    bytes: 12 * MiB,
    rate: 3 * MiB,
    detail: '',
  },
};
const moving: TransferView = {
  ...{
    transferId: 't',
    direction: 'down',
    state: 'moving',
    fileId: '1f'.repeat(32),
    path: 'papers/a.pdf',
    kind: 'file',
  },
  ...{ length: 64 * MiB, verified: 16 * MiB, rate: 4 * MiB, leftMs: 12_000, sources: [bob], reason: '', detail: '' },
};

test('no line is wider than the terminal, whatever the names and states', () => {
  const name = '漢字 a very long name 👍🏽 \u001b[2J'.repeat(9);
  const states: TransferView['state'][] = ['locating', 'moving', 'paused', 'held', 'done', 'failed', 'cancelled'];
  for (const columns of [10, 20, 39, 40, 59, 79, 200])
    for (const state of states)
      for (const source of ['connecting', 'moving', 'idle', 'waiting', 'banned', 'gone'] as const) {
        const sources = Array.from({ length: 11 }, () => ({ ...bob, name, state: source, detail: name }));
        const lines = transferLines({ ...moving, state, path: name, detail: name, sources }, columns, ascii);
        expect(Math.max(...lines.map(widthOf))).toBeLessThanOrEqual(columns);
        expect(lines).toHaveLength(10);
      }
});

test('what is the matter is said in words', () => {
  const first = (view: Partial<TransferView>): string => transferLines({ ...moving, ...view }, 79, ascii)[0] ?? '';
  expect(first({ state: 'locating', length: 0, sources: [] })).toBe('a.pdf     looking for members that have it');
  expect(first({ state: 'held', reason: 'DISK_FULL', detail: 'the disk is full' })).toMatch(
    /25 % {2}waiting: the disk is full$/,
  );
  expect(first({ state: 'held', reason: 'DISK_FULL' })).toMatch(/waiting: DISK_FULL$/);
  expect(first({ state: 'paused' })).toMatch(/25 % {2}16\.0 MiB of 64\.0 MiB {2}paused$/);
  expect(first({ state: 'moving', leftMs: undefined })).toMatch(/4\.0 MiB\/s$/);
  expect(transferLines({ ...moving, sources: [{ ...bob, state: 'banned', detail: '' }] }, 79, ascii)[1]).toMatch(
    /^ {2}bob cdcdcd {2}direct +12\.0 MiB {2}out: it sent wrong bytes$/,
  );
});

test('without a terminal it is a line', () => {
  expect(transferLine(moving)).toBe('papers/a.pdf: 25 %, 16.0 MiB of 64.0 MiB, 4.0 MiB/s, 12 s left, from 1');
  expect(transferLine({ ...moving, sources: [bob, { ...bob, way: 'relayed' }] })).toMatch(/from 2 \(1 relayed\)$/);
  expect(transferLine({ ...moving, state: 'paused' })).toBe('papers/a.pdf: 25 %, 16.0 MiB of 64.0 MiB, paused');
  expect(transferLine({ ...moving, path: 'a\nb', state: 'locating', length: 0, sources: [] })).toBe(
    'a\\x0ab: looking for members that have it',
  );
});

test('at the end it is said who gave how much', () => {
  const relayed: SourceView = { ...bob, name: 'eve', way: 'relayed', bytes: 4 * MiB };
  const done: TransferView = {
    ...moving,
    state: 'done',
    length: 16 * MiB,
    verified: 16 * MiB,
    sources: [relayed, bob],
  };
  expect(doneLine(done, 2_000)).toBe(
    'papers/a.pdf: 16.0 MiB in 2.0 s, 8.0 MiB/s, from bob 75 % directly, eve 25 % relayed',
  );
  expect(doneLine({ ...done, sources: [] }, 20)).toBe('papers/a.pdf: it is here already');
  expect(doneLine({ ...done, sources: [], length: 0 }, 20)).toBe('papers/a.pdf: it is here already');
});

test('ids are whole for programs, and on a terminal as long as can be typed', () => {
  const found = [{ fileId: '1f'.repeat(32), path: 'a\tb.pdf', kind: 'file', length: 1536, holders: 2 }] as const;
  expect(foundTable(found).split('\n')[1]).toBe(`${'1f'.repeat(32)}  1.5 KiB        2  a\\x09b.pdf`);
  expect(foundTable(found, 30).split('\n')).toEqual([
    'ID               SIZE  HAVE I…',
    '1f1f1f1f1f1f  1.5 KiB        …',
    '',
  ]);
});
