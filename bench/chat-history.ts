import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { History, type KeptMessage } from '../services/chat/history/history.ts';
import { seededRandom } from '../test/support/seeded.ts';
import { writeSection } from './parts/page.ts';

const batch = 500;
const rooms = 20;
const vocabulary = 20_000;
const aimMs = 50;

/** `npm run bench -- chat-history [--messages N] [--asks N] [--seed N] [--write]`: a chat's history, filled, then looked through. */
export async function run(flags: readonly string[]): Promise<void> {
  const valueOf = (flag: string, fallback: number): number => {
    const at = flags.indexOf(flag);
    return at === -1 ? fallback : Number(flags[at + 1]);
  };
  const count = valueOf('--messages', 1_000_000);
  const asks = valueOf('--asks', 500);
  const seed = valueOf('--seed', 1);
  const random = seededRandom(seed);
  const dir = mkdtempSync(join(tmpdir(), 'warren-bench-'));
  const history = new History(dir);
  try {
    const startedAt = performance.now();
    for (let seq = 0; seq < count; seq += batch) {
      const messages = Array.from({ length: Math.min(batch, count - seq) }, (_, at) => said(seq + at, random));
      history.add(messages, seq + messages.length);
    }
    const fillMs = performance.now() - startedAt;
    const room = (): string => `room ${Math.floor(random() * rooms)}`;
    const at = (): number => Math.floor(random() * count);
    const kinds: Record<string, () => unknown> = {
      'the last 50 of a room': () => history.page(room(), {}, 50),
      '50 before a message, anywhere': () => history.page(room(), { before: at() }, 50),
      '50 after a message, anywhere': () => history.page(room(), { after: at() }, 50),
      'the last 50 with the commonest word': () => history.search(room(), word(0), {}, 50),
      'a common and a rare word': () => history.search(room(), `${word(1)} ${word(9_000)}`, {}, 50),
      'a rare word': () => history.search(room(), word(Math.floor(random() * vocabulary)), {}, 50),
      'beginnings of words': () => history.search(room(), 'w1* w2*', {}, 50),
    };
    const rows = Object.entries(kinds).map(([name, ask]) => {
      const times = Array.from({ length: asks }, () => timed(ask)).sort((a, b) => a - b);
      const quantile = (part: number): number => times[Math.min(asks - 1, Math.floor(part * asks))] ?? Number.NaN;
      process.stderr.write(`${name}: p99 ${quantile(0.99).toFixed(2)} ms\n`);
      return { name, p50: quantile(0.5), p99: quantile(0.99), max: quantile(1) };
    });
    const cutMs = timed(() => history.retain({ maxBytes: 0, olderThanMs: 0 }));
    const bytes = statSync(join(dir, 'history.db')).size;
    const page = [
      `${count.toLocaleString('en')} messages of 12 words in ${rooms} rooms (seed ${seed}), ${asks} asks of each kind; ${cpus()[0]?.model.trim()}, ${cpus().length} cores, Node ${process.version}.`,
      `Filled at ${Math.round((count / fillMs) * 1000).toLocaleString('en')} messages/s in batches of ${batch}; ${Math.round(bytes / 2 ** 20)} MiB on disk. Retention cuts 2,000 in ${cutMs.toFixed(0)} ms.`,
      [
        '| a page | p50 ms | p99 ms | longest | aim |',
        '| --- | --: | --: | --: | --: |',
        ...rows.map(
          ({ name, p50, p99, max }) =>
            `| ${name} | ${p50.toFixed(2)} | ${p99.toFixed(2)} | ${max.toFixed(2)} | ${p99 < aimMs ? `< ${aimMs}: pass` : '**FAIL**'} |`,
        ),
      ].join('\n'),
    ].join('\n\n');
    process.stdout.write(`${page}\n`);
    if (flags.includes('--write'))
      writeSection(resolve(import.meta.dirname, '../docs/benchmarks.md'), 'chat-history', page);
  } finally {
    history.close();
    rmSync(dir, { recursive: true });
  }
}

function timed(act: () => unknown): number {
  const startedAt = performance.now();
  act();
  return performance.now() - startedAt;
}

function word(rank: number): string {
  return `w${rank}x`;
}

/** Words as common as in a language: the n-th an n-th as often as the first. */
function said(seq: number, random: () => number): KeptMessage {
  const words = Array.from({ length: 12 }, () => word(Math.floor(vocabulary ** random()) - 1));
  return {
    ...{ seq, offset: seq, room: `room ${Math.floor(random() * rooms)}`, sender: String(seq % 100).padStart(64, '0') },
    ...{ atMs: seq, body: words.join(' ') },
  };
}
