import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface, type Interface } from 'node:readline';
import { connect } from 'amqplib';
import { startRabbitNode } from '../services/up/rabbitmq-node.ts';
import type { LoadCommand } from './parts/amqp-load.ts';
import { startEmbedded } from './parts/embedded.ts';
import { describeMachine } from './parts/machine.ts';
import { writeSection } from './parts/page.ts';
import { medianRate, type Rate } from './parts/rate.ts';

interface Row {
  readonly kind: LoadCommand['kind'];
  readonly inFlight: number;
  readonly bytes: number;
  readonly embedded: Rate;
  readonly rabbit: Rate;
}

/** `npm run bench -- broker [--seconds S] [--rounds R] [--write]`: the embedded broker beside RabbitMQ, with the same client. */
export async function run(flags: readonly string[]): Promise<void> {
  const valueOf = (flag: string, fallback: number): number => {
    const at = flags.indexOf(flag);
    return at === -1 ? fallback : Number(flags[at + 1]);
  };
  const ms = valueOf('--seconds', 2) * 1000;
  const rounds = valueOf('--rounds', 3);
  const home = await mkdtemp(join(tmpdir(), 'warren-bench-'));
  const embedded = await startEmbedded(join(home, 'embedded'));
  const rabbit = await startRabbitNode({ dir: join(home, 'rabbit'), user: 'bench', password: 'bench' });
  const load = startLoad();
  try {
    const rows: Row[] = [];
    for (const kind of ['rpc', 'transient', 'persistent'] as const) {
      for (const inFlight of [1, 16, 100, 500]) {
        for (const bytes of [100, 1024, 65_536]) {
          const results: { embedded: Rate[]; rabbit: Rate[] } = { embedded: [], rabbit: [] };
          for (let round = 0; round < rounds; round++) {
            // A confirm means on disk, fsync included: on RabbitMQ that is a quorum queue (its classic queues do not sync for a confirm).
            const common = { kind, inFlight, bytes, ms };
            results.embedded.push(await load.ask({ ...common, url: embedded.url, queueType: 'classic' }));
            results.rabbit.push(
              await load.ask({ ...common, url: rabbit.url, queueType: kind === 'persistent' ? 'quorum' : 'classic' }),
            );
          }
          const row = {
            kind,
            inFlight,
            bytes,
            embedded: medianRate(results.embedded),
            rabbit: medianRate(results.rabbit),
          };
          rows.push(row);
          process.stderr.write(`${formatRow(row)}\n`);
        }
      }
    }
    // A new one: what was measured before has grown this one's memory, and messages would fit into that.
    const fresh = await startEmbedded(join(home, 'fresh'));
    const memory = await memoryOfQueued(fresh.url, fresh.pid).finally(() => fresh.close());
    const page = formatPage(rows, {
      machine: describeMachine('amqplib', `RabbitMQ ${rabbit.version}`),
      method: `Medians of ${rounds} × ${ms / 1000} s, the two brokers in turn, client and broker on the same two cores.`,
      readyMs: embedded.readyMs,
      memory,
    });
    process.stdout.write(page);
    if (flags.includes('--write')) writeSection(resolve(import.meta.dirname, '../docs/benchmarks.md'), 'broker', page);
  } finally {
    load.close();
    embedded.close();
    await rabbit.close();
    await rm(home, { recursive: true, force: true });
  }
}

function startLoad(): { ask(command: LoadCommand): Promise<Rate>; close(): void } {
  const child = spawn(process.execPath, [join(import.meta.dirname, 'parts/amqp-load.ts')], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const lines: Interface = createInterface({ input: child.stdout });
  return {
    ask: command =>
      new Promise((done, fail) => {
        lines.once('line', line => done(JSON.parse(line) as Rate));
        child.once('exit', code => fail(new Error(`the load ended (${code})`)));
        child.stdin.write(`${JSON.stringify(command)}\n`);
      }),
    close: () => child.stdin.end(),
  };
}

/** Growth of the broker's resident memory per byte of 100,000 queued messages of 1 KiB. */
async function memoryOfQueued(url: string, pid: number): Promise<number> {
  const rss = async (): Promise<number> =>
    Number(/VmRSS:\s+(\d+)/.exec(await readFile(`/proc/${pid}/status`, 'utf8'))?.[1]) * 1024;
  const model = await connect(url, { noDelay: true });
  const channel = await model.createConfirmChannel();
  const { queue } = await channel.assertQueue('', { exclusive: true });
  const before = await rss();
  const body = Buffer.alloc(1024, 'x');
  for (let i = 0; i < 100; i++) {
    for (let j = 0; j < 1000; j++) channel.sendToQueue(queue, body);
    await channel.waitForConfirms();
  }
  const grown = (await rss()) - before;
  await model.close();
  return grown / (100_000 * 1024);
}

const names = {
  rpc: 'request and reply',
  transient: 'one way, transient',
  persistent: 'one way, persistent, confirmed after fsync',
};

function formatRow({ kind, inFlight, bytes, embedded, rabbit }: Row): string {
  const cell = ({ perSecond, p50Ms, p99Ms }: Rate): string =>
    `${Math.round(perSecond).toLocaleString('en')} | ${p50Ms.toFixed(2)} | ${p99Ms.toFixed(1)}`;
  return `| ${names[kind]} | ${inFlight} | ${bytes} | ${cell(embedded)} | ${cell(rabbit)} | ${(embedded.perSecond / rabbit.perSecond).toFixed(2)} |`;
}

function formatPage(
  rows: readonly Row[],
  {
    machine,
    method,
    readyMs,
    memory,
  }: { machine: Record<string, string>; method: string; readyMs: number; memory: number },
): string {
  const at = (kind: Row['kind']): Row | undefined =>
    rows.find(row => row.kind === kind && row.inFlight === 100 && row.bytes === 1024);
  const ratio = (kind: Row['kind']): number => {
    const row = at(kind);
    return row ? row.embedded.perSecond / row.rabbit.perSecond : 0;
  };
  const verdict = (isMet: boolean): string => (isMet ? 'met' : 'missed');
  return [
    '## The embedded broker beside RabbitMQ',
    '',
    Object.entries(machine)
      .map(([what, value]) => `${what}: ${value}`)
      .join('; '),
    '',
    method,
    '',
    '| | in flight | bytes | embedded /s | p50 ms | p99 ms | RabbitMQ /s | p50 ms | p99 ms | ratio |',
    '|---|---|---|---|---|---|---|---|---|---|',
    ...rows.map(formatRow),
    '',
    '| aim | measured | |',
    '|---|---|---|',
    `| request and reply at 100 in flight, 1 KiB ≥ 1.0 × RabbitMQ | ${ratio('rpc').toFixed(2)} × | ${verdict(ratio('rpc') >= 1)} |`,
    `| persistent confirmed at 100 in flight, 1 KiB ≥ 1.0 × RabbitMQ (quorum) | ${ratio('persistent').toFixed(2)} × | ${verdict(ratio('persistent') >= 1)} |`,
    `| resident memory of 100k queued 1 KiB messages ≤ 2 × their bytes | ${memory.toFixed(2)} × | ${verdict(memory <= 2)} |`,
    `| ready in under 300 ms, from the start of the process | ${readyMs.toFixed(0)} ms | ${verdict(readyMs < 300)} |`,
    '',
  ].join('\n');
}
