import { join } from 'node:path';
import { expect, test } from 'vitest';
import { DirectoryStore } from '../../services/directory/store.ts';
import { temporaryDir } from '../support/broker.ts';
import { fileOf } from './index-under-test.ts';

/** Processor time, in milliseconds: others use the machine as well. */
function timed(act: () => unknown): number {
  const before = process.cpuUsage();
  act();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1_000;
}

function median(times: readonly number[]): number {
  return [...times].sort((a, b) => a - b)[Math.floor(times.length / 2)] ?? 0;
}

test('100,000 files are announced in less than 100 ms a thousand, and searched in less than 50 ms', async () => {
  using store = new DirectoryStore(join(await temporaryDir(), 'directory'));
  const peer = 'a'.repeat(64);
  const parts = Array.from({ length: 100 }, (_, part) =>
    Array.from({ length: 1_000 }, (_, at) => {
      const nth = part * 1_000 + at;
      return fileOf(`photos/${nth % 365}/holiday image ${nth} ${((nth * 2_654_435_761) >>> 0).toString(36)}.jpg`, nth);
    }),
  );
  for (const [what, counter] of [
    ['new', 1],
    ['said again', 2],
  ] as const) {
    const times = parts.map((files, part) =>
      timed(() => store.index.apply(peer, { counter, files, removed: [], snapshot: { part, parts: parts.length } })),
    );
    console.log(`a thousand files, ${what}: ${median(times).toFixed(1)} ms, at most ${Math.max(...times).toFixed(1)}`);
    expect(median(times)).toBeLessThan(100);
  }
  for (const q of ['holiday', 'hol*', 'i* h*', 'holiday 77', 'photos 4711', '', 'jpg']) {
    const times = Array.from({ length: 9 }, () =>
      timed(() => store.catalogue.search({ q, type: '', minSize: 0, maxSize: 0, offset: 0, limit: 50 })),
    );
    console.log(`search for ${JSON.stringify(q)}: ${median(times).toFixed(1)} ms`);
    expect(median(times)).toBeLessThan(50);
  }
}, 120_000);
