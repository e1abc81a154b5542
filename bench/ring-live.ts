import { mkdtempSync, rmSync } from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createBus } from '../services/bus/amqp-bus.ts';
import { roles } from '../services/bus/topology.ts';
import { createAuthority } from '../services/lib/identity/authority.ts';
import { randomHex } from '../services/lib/random.ts';
import type { LocalBroker } from '../services/up/local-broker.ts';
import { startEmbeddedProcess } from '../test/support/embedded-process.ts';
import { type Child, Children, nextMessage } from './parts/children.ts';
import { describeMachine } from './parts/machine.ts';
import { accountFor, memberOf } from './parts/members.ts';
import { writeSection } from './parts/page.ts';
import type { Entry, LiveCommand, LiveNode, LiveSample } from './parts/ring/live-messages.ts';
import { median } from './parts/rounds.ts';

const patienceMs = 180_000;
const aim = 0.7;
const loads = [1, 16] as const;

interface Row {
  readonly what: string;
  readonly inFlight: number;
  readonly samples: LiveSample[];
}

/**
 * `npm run bench -- ring-live [--nodes N] [--seconds S] [--rounds R] [--write]`: lookups of one node in a ring of real ones, which are in another process,
 * over gRPC and over the bus, beside as many bare grpc-js calls after each other.
 */
export async function run(flags: readonly string[]): Promise<void> {
  const valueOf = (flag: string, fallback: number): number => Number(flags[flags.indexOf(flag) + 1 || -1] ?? fallback);
  const [count, seconds, rounds] = [valueOf('--nodes', 32), valueOf('--seconds', 3), valueOf('--rounds', 3)];
  const children = new Children();
  const home = mkdtempSync(join(tmpdir(), 'warren-bench-'));
  const broker = await startEmbeddedProcess({ dir: join(home, 'broker'), user: 'bench', password: randomHex(16) });
  try {
    const members = await createMembers(broker, count * 2);
    const direct = await startRing(children, members.slice(0, count), true);
    const ports = await tell<number[]>(direct.others, { kind: 'bare', members: members.slice(1, count) });
    const hidden = await startRing(children, members.slice(count), false);
    const rows = loads.flatMap(inFlight => [
      { what: 'lookups over gRPC', inFlight, samples: [] },
      { what: 'bare grpc-js calls', inFlight, samples: [] },
      { what: 'lookups over the bus', inFlight, samples: [] },
    ]) as Row[];
    for (let round = 0; round <= rounds; round++)
      for (const inFlight of loads) {
        // The first round warms up.
        const take = (what: string, sample: LiveSample): void => {
          if (round > 0) rows.find(row => row.what === what && row.inFlight === inFlight)?.samples.push(sample);
          say(`${what}, ${inFlight} at a time: ${Math.round(sample.perSecond)}/s, ${sample.failed} failed`);
        };
        const grpc = await tell<LiveSample>(direct.asker, { kind: 'lookups', inFlight, seconds });
        take('lookups over gRPC', grpc);
        const bare = { kind: 'bare calls', hops: grpc.hops, ports, inFlight, seconds } as const;
        take('bare grpc-js calls', await tell<LiveSample>(direct.asker, bare));
        take('lookups over the bus', await tell<LiveSample>(hidden.asker, { kind: 'lookups', inFlight, seconds }));
      }
    const page = format(rows, { count, seconds, rounds });
    process.stdout.write(`${page}\n`);
    if (flags.includes('--write'))
      writeSection(resolve(import.meta.dirname, '../docs/benchmarks.md'), 'ring-live', page);
  } finally {
    await children.end();
    await broker.close();
    rmSync(home, { recursive: true, force: true, maxRetries: 5 });
  }
}

function say(line: string): void {
  process.stderr.write(`${line}\n`);
}

/** Members of one network, each with its account on the broker. */
async function createMembers(
  broker: Pick<LocalBroker, 'url'> & { readonly httpUrl: string },
  count: number,
): Promise<LiveNode[]> {
  const directory = createBus({ urls: [broker.url], name: 'declares', role: roles.directory('classic') });
  await directory.ready();
  await directory.close();
  const authority = await createAuthority(Date.now());
  const members: LiveNode[] = [];
  for (let left = count; left > 0; left--) {
    const { id, ...credentials } = await memberOf(authority);
    members.push({ credentials, brokerUrl: await accountFor(broker, id) });
  }
  return members;
}

/** One node in a process that asks, the others in another that answers; when all of them see all. */
async function startRing(children: Children, members: readonly LiveNode[], isDialled: boolean) {
  const stdio = ['ignore', 'ignore', 'inherit', 'ipc'] as ('ignore' | 'inherit' | 'ipc')[];
  const start = async (name: string): Promise<Child> => {
    const child = children.startScript(name, 'ring/live-nodes.ts', [], { stdio });
    await nextMessage(child, patienceMs);
    return child;
  };
  const [asker, others] = [await start('asker'), await start('others')];
  const begun = { kind: 'start', isDialled } as const;
  const [entry] = await tell<Entry[]>(others, { ...begun, nodes: members.slice(1), entry: undefined });
  await tell(asker, { ...begun, nodes: members.slice(0, 1), entry });
  for (const child of [others, asker]) await tell(child, { kind: 'whole', count: members.length });
  // For the fingers, one of which is looked up each second.
  await new Promise(resolve => setTimeout(resolve, 20_000));
  return { asker, others };
}

async function tell<T>(child: Child, command: LiveCommand): Promise<T> {
  const said = nextMessage(child, patienceMs);
  child.process.send(command);
  const { answer, problem } = (await said) as { answer: T; problem?: string };
  if (problem !== undefined) throw new Error(problem);
  return answer;
}

function format(
  rows: readonly Row[],
  { count, seconds, rounds }: Record<'count' | 'seconds' | 'rounds', number>,
): string {
  const middle = ({ samples }: Row, of: (sample: LiveSample) => number): number => median(samples.map(of));
  const bareOf = (inFlight: number) =>
    rows.find(row => row.what.startsWith('bare') && row.inFlight === inFlight) as Row;
  const shareOf = (row: Row): number =>
    middle(row, ({ perSecond }) => perSecond) / middle(bareOf(row.inFlight), ({ perSecond }) => perSecond);
  const lines = rows.map(row => {
    const hops = row.samples.flatMap(sample =>
      sample.hops.flatMap((times, length) => Array<number>(times).fill(length)),
    );
    const mean = hops.length === 0 ? '' : (hops.reduce((sum, each) => sum + each, 0) / hops.length).toFixed(2);
    const figures = [
      Math.round(middle(row, ({ perSecond }) => perSecond)).toLocaleString('en'),
      middle(row, ({ p50Ms }) => p50Ms).toFixed(2),
      middle(row, ({ p99Ms }) => p99Ms).toFixed(2),
      middle(row, ({ cpuMs }) => cpuMs).toFixed(2),
    ];
    const failed = row.samples.reduce((sum, sample) => sum + sample.failed, 0);
    return `| ${[row.what, row.inFlight, ...figures, mean, `${shareOf(row).toFixed(2)} ×`, failed].join(' | ')} |`;
  });
  const facts = Object.entries(describeMachine('one process', 'the embedded broker')).map(
    ([name, value]) => `${name}: ${value}`,
  );
  const judged = loads.map(inFlight => {
    const share = shareOf(rows.find(row => row.what === 'lookups over gRPC' && row.inFlight === inFlight) as Row);
    return `${inFlight} at a time: ${share.toFixed(2)} × (${share >= aim ? 'met' : 'missed'})`;
  });
  return [
    `Lookups of one node in a ring of ${count}: ${count - 1} are in a second process; each with its own server, connections and broker account. A bare call is the same message of the same service between plain grpc-js with mutual TLS; as many follow each other as the lookups had hops. CPU is that of the process that asks. Median of ${rounds} rounds of ${seconds} s, taken in turn.`,
    '',
    '| | at a time | a second | p50 ms | p99 ms | CPU ms | hops | of bare | failed |',
    '|---|---|---|---|---|---|---|---|---|',
    ...lines,
    '',
    `Aim: over gRPC at least ${aim} × of bare. ${judged.join('; ')}.`,
    '',
    `${facts.join('; ')}; load average at the end ${loadavg()[0]?.toFixed(1)} (other work on the machine slows all of them alike).`,
  ].join('\n');
}
