import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { onTestFinished } from 'vitest';
import { ChordServiceDefinition } from '../../../proto/gen/warren/chord/v1/chord.ts';
import type { Client } from '../../../services/lib/rpc/definition.ts';
import { connectToDaemon } from '../../../services/lib/rpc/local-daemon.ts';
import { type DaemonProcess, type JoinedHome, type Network, spawnDaemonOf } from '../../member/network.ts';
import { until } from '../../support/until.ts';

/** A node of the ring, as its owner has it. */
export interface RingNode {
  readonly home: JoinedHome;
  readonly ring: Client<typeof ChordServiceDefinition>;
}

export interface RingProcess extends DaemonProcess, RingNode {
  readonly address: string;
  /** Where its REST is. */
  rest(): Promise<string>;
}

/** `warren chord`: a node of the ring and nothing else, as a process of its own. */
export async function spawnNode(network: Network, ...more: string[]): Promise<RingProcess> {
  const home = await network.join('ann');
  const daemon = await spawnDaemonOf(
    'chord',
    home.dir,
    '--port',
    '0',
    '--ring-port',
    '0',
    '--host',
    '127.0.0.1',
    ...more,
  );
  onTestFinished(async () => {
    daemon.connection.close();
    await daemon.process[Symbol.asyncDispose]();
  }, 30_000);
  return {
    ...daemon,
    home,
    ring: daemon.connection.client(ChordServiceDefinition),
    address: `127.0.0.1:${daemon.port}`,
    async rest() {
      const { parts } = await daemon.owner.status({});
      const [line] = parts.flatMap(({ lines }) => lines.filter(text => text.startsWith('REST at ')));
      return new URL(line?.slice('REST at '.length) ?? '').origin;
    },
  };
}

/** So many processes in one ring, which all of them see whole. */
export async function spawnRing(network: Network, count: number): Promise<RingProcess[]> {
  const nodes = [await spawnNode(network)];
  const [first] = nodes;
  for (let left = count - 1; left > 0; left -= 4) {
    const more = Array.from({ length: Math.min(4, left) }, () => spawnNode(network, '--join', first?.address ?? ''));
    nodes.push(...(await Promise.all(more)));
  }
  await allSeeAll(nodes);
  return nodes;
}

export async function allSeeAll(nodes: readonly RingNode[], withinMs = 60_000): Promise<void> {
  for (const { ring } of nodes)
    await until(
      () => ring.show({}),
      ({ nodes: seen, isWhole }) => isWhole && seen.length === nodes.length,
      withinMs,
    );
}

/** So many nodes in one process, which share its fate. @param join where they enter */
export async function spawnSeveral(network: Network, count: number, join: string): Promise<RingNode[]> {
  const homes = await Promise.all(Array.from({ length: count }, () => network.join('ann')));
  const script = resolve(import.meta.dirname, 'several-nodes.ts');
  const child = spawn(process.execPath, [script, join, ...homes.map(({ dir }) => dir)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = once(child, 'exit');
  onTestFinished(async () => {
    child.kill('SIGKILL');
    await ended;
  });
  let up = 0;
  for await (const line of createInterface({ input: child.stdout }))
    if (line.startsWith('up ') && ++up === count) break;
  if (up < count) throw new Error('a process with several nodes ended');
  return Promise.all(
    homes.map(async home => {
      const connection = await connectToDaemon(home.dir);
      onTestFinished(() => connection.close());
      return { home, ring: connection.client(ChordServiceDefinition) };
    }),
  );
}
