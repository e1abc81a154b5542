import { type Children, nextMessage } from '../children.ts';
import { median } from '../rounds.ts';
import type { SinkOrder } from './tcp-sink.ts';
import { useScript } from './used.ts';

/** One way; a round trip is twice as long. */
export const delayMs = 10;

const ipc = (): { stdio: ('ignore' | 'inherit' | 'ipc')[] } => ({ stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });

/** The same address, 10 ms away. @param address `127.0.0.1:port` */
export async function moveAway(children: Children, address: string): Promise<string> {
  const args = [address.slice(address.lastIndexOf(':') + 1), `${delayMs}`];
  const child = children.startScript('delay', 'delay-relay-process.ts', args, ipc());
  const { port } = (await nextMessage(child, 15_000)) as { port: number };
  return `127.0.0.1:${port}`;
}

/** MiB/s that plain TCP from memory to nowhere does, near and through the relay: no contestant behind it can be faster. */
export async function measureCeiling(
  children: Children,
  bytes: number,
  rounds: number,
): Promise<{ near: number; far: number }> {
  const source = children.startScript('TCP source', 'files/tcp-source.ts', [], ipc());
  const { port } = (await nextMessage(source, 15_000)) as { port: number };
  const far = await moveAway(children, `127.0.0.1:${port}`);
  const ports = { near: port, far: Number(far.slice(far.lastIndexOf(':') + 1)) };
  const found = { near: [] as number[], far: [] as number[] };
  for (let round = 0; round < rounds; round++)
    for (const place of ['near', 'far'] as const) {
      const order: SinkOrder = { port: ports[place], bytes };
      const { seconds } = await useScript(children, { name: 'TCP sink', file: 'files/tcp-sink.ts' }, order);
      found[place].push(bytes / 2 ** 20 / seconds);
    }
  return { near: median(found.near), far: median(found.far) };
}
