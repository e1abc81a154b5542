import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { promisify } from 'node:util';
import { restNamingClient } from '../services/naming/rest-client.ts';
import { namingDir } from '../services/naming/store.ts';
import { Children } from './parts/children.ts';
import { describeMachine } from './parts/machine.ts';
import { writeSection } from './parts/page.ts';
import { freePorts, untilOk } from './parts/ports.ts';
import { median } from './parts/rounds.ts';

const run = promisify(execFile);

/** Answered a second, and how long one took on average, in milliseconds. */
interface Sample {
  readonly perSecond: number;
  readonly meanMs: number;
  readonly lost: number;
}

interface Server {
  readonly name: string;
  readonly port: number;
}

const domain = 'backend.com';
const address = '10.0.0.1';
const modes = ['udp', 'tcp'] as const;

/** `npm run bench -- dns [--seconds S] [--rounds R] [--write]`: naming's DNS beside Knot and dnsmasq, as dnsperf sees them. */
export async function bench(flags: readonly string[]): Promise<void> {
  const valueOf = (flag: string, fallback: number): number => {
    const at = flags.indexOf(flag);
    return at === -1 ? fallback : Number(flags[at + 1]);
  };
  const seconds = valueOf('--seconds', 3);
  const rounds = valueOf('--rounds', 3);
  const home = mkdtempSync(join(tmpdir(), 'warren-bench-'));
  const children = new Children();
  try {
    const queries = join(home, 'queries');
    // What is asked: mostly where the name is, sometimes what there is not.
    const kinds = [`${domain} A`, `${domain} A`, `${domain} AAAA`, `${domain} TXT`, `nobody.${domain} A`];
    writeFileSync(queries, `${kinds.join('\n')}\n`);
    const servers = [
      await startWarren(children, join(home, 'warren')),
      await startKnot(children, join(home, 'knot')),
      await startDnsmasq(children),
    ];
    const samples = new Map<string, Sample[]>();
    for (let round = 0; round <= rounds; round++) {
      for (const mode of modes) {
        for (const server of servers) {
          const sample = await measure(server, mode, queries, round === 0 ? 1 : seconds);
          // The first one warms up.
          if (round === 0) continue;
          const key = `${server.name} ${mode}`;
          samples.set(key, [...(samples.get(key) ?? []), sample]);
          process.stderr.write(`${key}: ${Math.round(sample.perSecond)} answers/s, ${sample.meanMs.toFixed(2)} ms\n`);
        }
      }
    }
    const machine = await describeDns();
    const page = format(servers, samples, { machine, seconds, rounds });
    process.stdout.write(`${page}\n`);
    if (flags.includes('--write')) writeSection(resolve(import.meta.dirname, '../docs/benchmarks.md'), 'dns', page);
  } finally {
    await children.end();
    await rm(home, { recursive: true, force: true });
  }
}

export { bench as run };

async function startWarren(children: Children, home: string): Promise<Server> {
  const [port = 0, dnsPort = 0] = await freePorts(2);
  const bin = resolve(import.meta.dirname, '../bin/warren.js');
  const flags = ['--naming-port', String(port), '--dns-port', String(dnsPort), '--data', home];
  // One address asks for all: no limit for it here.
  const env = { ...process.env, WARREN_NAMING_DNS_RATE: '0', WARREN_NAMING_LEASE_MS: '1h' };
  children.start('naming', process.execPath, [bin, 'naming', ...flags], { env });
  await untilOk(`http://127.0.0.1:${port}/livez`);
  const token = (await readFile(join(namingDir(home), 'token'), 'utf8')).trim();
  await restNamingClient(`http://127.0.0.1:${port}`, token).register({
    name: domain,
    memberId: 'a'.repeat(64),
    addresses: [`${address}:50051`],
    epoch: 1,
    migrationId: 'm1',
    logOffset: 0,
  });
  return { name: 'Warren', port: dnsPort };
}

async function startKnot(children: Children, home: string): Promise<Server> {
  const [port = 0] = await freePorts(1);
  mkdirSync(home, { recursive: true });
  writeFileSync(
    join(home, `${domain}.zone`),
    `$TTL 1\n@ SOA ns hostmaster 1 60 10 600 1\n@ NS ns\nns A 127.0.0.1\n@ A ${address}\n@ TXT "epoch=1" "member=${'a'.repeat(64)}"\n`,
  );
  const file = join(home, 'knot.conf');
  writeFileSync(
    file,
    `server:
    rundir: "${home}"
    listen: 127.0.0.1@${port}
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
database:
    storage: "${home}"
zone:
  - domain: ${domain}
    storage: "${home}"
    file: "${domain}.zone"
`,
  );
  children.start('knot', 'knotd', ['-c', file]);
  return answers({ name: 'Knot, 1 thread', port });
}

async function startDnsmasq(children: Children): Promise<Server> {
  const [port = 0] = await freePorts(1);
  const flags = [
    '--keep-in-foreground',
    '--conf-file=/dev/null',
    '--no-resolv',
    '--no-hosts',
    '--pid-file',
    '--user=root',
  ];
  const records = [`--host-record=${domain},${address}`, `--txt-record=${domain},epoch=1`, `--local=/${domain}/`];
  const bound = ['--listen-address=127.0.0.1', '--bind-interfaces', `--port=${port}`];
  children.start('dnsmasq', 'dnsmasq', [...flags, ...bound, ...records]);
  return answers({ name: 'dnsmasq', port });
}

/** Waits until it answers right. */
async function answers(server: Server): Promise<Server> {
  for (let left = 100; left > 0; left--) {
    const args = ['@127.0.0.1', '-p', String(server.port), '+short', '+tries=1', '+time=1', domain, 'A'];
    const { stdout } = await run('dig', args).catch(() => ({ stdout: '' }));
    if (stdout.trim() === address) return server;
    await wait(50);
  }
  throw new Error(`${server.name} does not answer`);
}

async function measure({ port }: Server, mode: string, queries: string, seconds: number): Promise<Sample> {
  const at = ['-s', '127.0.0.1', '-p', String(port), '-m', mode, '-d', queries];
  const { stdout } = await run('dnsperf', [...at, '-l', String(seconds), '-c', '8', '-T', '1', '-q', '64', '-e']);
  const figure = (pattern: RegExp): number => Number(pattern.exec(stdout)?.[1]);
  return {
    perSecond: figure(/Queries per second:\s+([\d.]+)/),
    meanMs: figure(/Average Latency \(s\):\s+([\d.]+)/) * 1_000,
    lost: figure(/Queries lost:\s+(\d+)/),
  };
}

async function describeDns(): Promise<Record<string, string>> {
  const line = async (command: string, ...args: string[]): Promise<string> => {
    const { stdout, stderr } = await run(command, args).catch(({ stdout = '', stderr = '' }) => ({ stdout, stderr }));
    return /[\w.-]*\d+\.\d+[\w.-]*/.exec(`${stdout}${stderr}`)?.[0] ?? 'unknown';
  };
  const {
    broker: _broker,
    nginx: _nginx,
    ...machine
  } = describeMachine(`dnsperf ${await line('dnsperf', '-h')}`, undefined);
  return { ...machine, Knot: await line('knotd', '--version'), dnsmasq: await line('dnsmasq', '--version') };
}

function format(
  servers: readonly Server[],
  samples: ReadonlyMap<string, readonly Sample[]>,
  { machine, seconds, rounds }: { machine: Record<string, string>; seconds: number; rounds: number },
): string {
  const of = (server: Server, mode: string, figure: keyof Sample): number =>
    median((samples.get(`${server.name} ${mode}`) ?? []).map(sample => sample[figure]));
  const rows = servers.map(server => {
    const cells = modes.flatMap(mode => [
      Math.round(of(server, mode, 'perSecond')).toLocaleString('en'),
      of(server, mode, 'meanMs').toFixed(2),
      String(of(server, mode, 'lost')),
    ]);
    return `| ${[server.name, ...cells].join(' | ')} |`;
  });
  return [
    Object.entries(machine)
      .map(([what, value]) => `${what}: ${value}`)
      .join('; '),
    '',
    `Medians of ${rounds} × ${seconds} s, servers in turn, 8 clients with 64 questions in flight, EDNS; server and dnsperf share the two cores.`,
    '',
    '| | UDP: answers/s | mean ms | lost | TCP: answers/s | mean ms | lost |',
    '| --- | --: | --: | --: | --: | --: | --: |',
    ...rows,
  ].join('\n');
}
