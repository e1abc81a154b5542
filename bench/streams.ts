import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { openBroker } from './parts/broker.ts';
import { type Child, Children, nextMessage } from './parts/children.ts';
import { describeMachine } from './parts/machine.ts';
import { nginxVersion, startNginx } from './parts/nginx.ts';
import { writeSection } from './parts/page.ts';
import { freePorts, untilOk } from './parts/ports.ts';
import { medianRate, type Rate } from './parts/rate.ts';
import type { StreamCommand } from './parts/stream-client.ts';
import { startWarren } from './parts/warren.ts';

/** A GiB over a slow machine. */
const patienceMs = 600_000;

interface Row {
  readonly what: string;
  /** By subject. */
  readonly results: ReadonlyMap<string, Rate>;
}

/** `npm run bench -- streams [--mib N] [--seconds S] [--rounds R] [--broker URL] [--write]`: long bodies, events and WebSockets, side by side. */
export async function run(flags: readonly string[]): Promise<void> {
  const valueOf = (flag: string, fallback: string): string => flags[flags.indexOf(flag) + 1 || -1] ?? fallback;
  const mebibytes = Number(valueOf('--mib', '1024'));
  const seconds = Number(valueOf('--seconds', '5'));
  const rounds = Number(valueOf('--rounds', '3'));
  const given = flags.includes('--broker') ? valueOf('--broker', '') : undefined;
  const children = new Children();
  const home = mkdtempSync(join(tmpdir(), 'warren-bench-'));
  const broker = await openBroker(home, { url: given, pid: undefined });
  try {
    const [backendPort = 0, passPort = 0, cachePort = 0] = await freePorts(3);
    const direct = `http://127.0.0.1:${backendPort}`;
    children.startScript('backend', 'stream-backend.ts', [String(backendPort)]);
    await untilOk(direct);
    const warren = await startWarren(children, {
      root: resolve(import.meta.dirname, '..'),
      service: 'streams',
      brokerUrl: broker.url,
      upstream: direct,
      home: join(home, 'warren'),
    });
    const urls = new Map([
      ['direct', direct],
      ['Warren', warren.url],
    ]);
    if (nginxVersion() !== undefined) {
      startNginx(children, join(home, 'nginx'), { pass: passPort, cache: cachePort, backend: backendPort });
      urls.set('nginx', `http://127.0.0.1:${passPort}`);
      await untilOk(`http://127.0.0.1:${passPort}`);
    }
    const ipc = { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] as ('ignore' | 'inherit' | 'ipc')[] };
    const client = children.startScript('client', 'stream-client.ts', [], ipc);
    await nextMessage(client, patienceMs);
    const raw = await Promise.all(
      ['receiver', 'sender'].map(async side => {
        const child = children.startScript(side, 'raw-bytes.ts', [broker.url, side], ipc);
        await nextMessage(child, patienceMs);
        return child;
      }),
    );
    const sender = raw[1] as Child;

    const ask = async (child: Child, command: object): Promise<Rate> => {
      child.process.send(command);
      const result = await nextMessage(child, patienceMs);
      if (typeof result === 'object' && result !== null && 'problem' in result) throw new Error(String(result.problem));
      return result as Rate;
    };
    const rows: Row[] = [];
    const measure = async (what: string, of: (url: string) => StreamCommand, withRaw: boolean): Promise<void> => {
      const found = new Map<string, Rate[]>();
      for (let round = 0; round < rounds; round++) {
        const subjects = [...urls, ...(withRaw ? [['bus alone', '']] : [])] as [string, string][];
        for (const [name, url] of round % 2 === 0 ? subjects : subjects.toReversed()) {
          const result = url === '' ? await ask(sender, { mebibytes }) : await ask(client, of(url));
          found.set(name, [...(found.get(name) ?? []), result]);
        }
      }
      const results = new Map([...found].map(([name, each]) => [name, medianRate(each)]));
      rows.push({ what, results });
      process.stderr.write(
        `${what}: ${[...results].map(([name, { perSecond, p50Ms, p99Ms }]) => `${name} ${perSecond.toFixed(0)}/s ${p50Ms.toFixed(2)}/${p99Ms.toFixed(2)} ms`).join(', ')}\n`,
      );
    };
    for (const atOnce of [1, 8])
      for (const kind of ['down', 'up'] as const)
        await measure(
          `${mebibytes} MiB ${kind}, ${atOnce} at once: MiB/s`,
          url => ({ kind, url, mebibytes, atOnce }),
          true,
        );
    await measure('events, one each 5 ms: delay', url => ({ kind: 'events', url, seconds, inFlight: 1 }), false);
    for (const inFlight of [1, 64])
      await measure(
        `WebSocket echo of 1 KiB, ${inFlight} in flight`,
        url => ({ kind: 'echo', url, seconds, inFlight }),
        false,
      );
    const page = format(
      rows,
      describeMachine('node:http, ws', broker.describe),
      `Medians of ${rounds} rounds, subjects in turn; all processes share this machine.`,
    );
    process.stdout.write(`${page}\n`);
    if (flags.includes('--write')) writeSection(resolve(import.meta.dirname, '../docs/benchmarks.md'), 'streams', page);
  } finally {
    await children.end();
    await broker.close();
    rmSync(home, { recursive: true, force: true });
  }
}

function format(rows: readonly Row[], machine: Record<string, string>, method: string): string {
  const names = ['direct', 'nginx', 'bus alone', 'Warren'];
  const cell = ({ perSecond, p50Ms, p99Ms }: Rate, isBytes: boolean): string =>
    isBytes ? perSecond.toFixed(0) : `${perSecond.toFixed(0)}/s, ${p50Ms.toFixed(2)} / ${p99Ms.toFixed(2)} ms`;
  const isBytes = (what: string): boolean => what.endsWith('MiB/s');
  const shares = rows
    .filter(({ what }) => isBytes(what))
    .map(({ what, results }) => {
      const share = (results.get('Warren')?.perSecond ?? 0) / (results.get('bus alone')?.perSecond ?? Number.NaN);
      return `| ${what.replace(': MiB/s', '')}: Warren / bus alone ≥ 0.6 | ${share.toFixed(2)} | ${share >= 0.6 ? 'met' : '**missed**'} |`;
    });
  const delay = rows.find(({ what }) => what.startsWith('events'))?.results.get('Warren')?.p99Ms ?? Number.NaN;
  return [
    Object.entries(machine)
      .map(([what, value]) => `${what}: ${value}`)
      .join('; '),
    '',
    method,
    '',
    `| | ${names.join(' | ')} |`,
    `|---|${names.map(() => '--:').join('|')}|`,
    ...rows.map(
      ({ what, results }) =>
        `| ${what} | ${names
          .map(name => {
            const result = results.get(name);
            return result ? cell(result, isBytes(what)) : '';
          })
          .join(' | ')} |`,
    ),
    '',
    '| aim | measured | |',
    '|---|--:|---|',
    ...shares,
    `| delay of an event, p99 < 20 ms | ${delay.toFixed(2)} ms | ${delay < 20 ? 'met' : '**missed**'} |`,
  ].join('\n');
}
