import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { type Child, type Children, endOne, nextMessage } from '../children.ts';
import { cpuOf, cpuOfEnded } from '../cpu.ts';

/** What one side spent. */
export interface Used {
  readonly seconds: number;
  readonly cpuSeconds: number;
  /** Bytes. */
  readonly peakRss: number;
}

/** A GiB over a slow machine. */
const patienceMs = 600_000;
/** A peak can be read only while its process lives. */
const pollMs = 20;

/** Highest resident memory, in bytes, of these processes and all that they started since `forgetPeaks`; 0 for who has ended. */
export function peakRssOf(pids: readonly number[]): number {
  return familyOf(pids).reduce((sum, pid) => sum + highWater(pid), 0);
}

/** Peaks count from now on: proc(5), /proc/pid/clear_refs. */
export function forgetPeaks(pids: readonly number[]): void {
  for (const pid of familyOf(pids)) {
    try {
      writeFileSync(`/proc/${pid}/clear_refs`, '5');
    } catch {
      // Ended meanwhile, or not ours: then the peak is that of its life.
    }
  }
}

/** Measures what a script does with one order, from the order to its answer; its start is not counted. */
export async function useScript(
  children: Children,
  { name, file, args = [] }: { name: string; file: string; args?: readonly string[] },
  order: object,
): Promise<Used> {
  const child = children.startScript(name, file, args, { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
  try {
    await nextMessage(child, patienceMs);
    const cpuBefore = cpuOf([child.pid]);
    const { seconds } = (await tell(child, order)) as { seconds: number };
    return { seconds, cpuSeconds: (cpuOf([child.pid]) - cpuBefore) / 1e6, peakRss: peakRssOf([child.pid]) };
  } finally {
    await endOne(child);
  }
}

/** An order over the IPC channel, and its answer. @throws what the child says is the problem */
export async function tell(child: Child, order: object): Promise<unknown> {
  child.process.send(order);
  const answer = await nextMessage(child, patienceMs);
  if (typeof answer === 'object' && answer !== null && 'problem' in answer) throw new Error(String(answer.problem));
  return answer;
}

/** Measures a program from its start to its end; there is nothing else that this process waits for meanwhile. */
export async function useProgram(children: Children, command: string, args: readonly string[]): Promise<Used> {
  const cpuBefore = cpuOfEnded();
  const startedAt = performance.now();
  const child = children.start(command, command, args);
  let peakRss = 0;
  const poll = setInterval(() => {
    peakRss = Math.max(peakRss, peakRssOf([child.pid]));
  }, pollMs);
  const code = await new Promise<number | null>(resolve => child.process.once('exit', resolve));
  const seconds = (performance.now() - startedAt) / 1000;
  clearInterval(poll);
  if (code !== 0) throw new Error(`${command} ended with ${code}`);
  return { seconds, cpuSeconds: (cpuOfEnded() - cpuBefore) / 1e6, peakRss };
}

function highWater(pid: number): number {
  try {
    return Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1] ?? 0) * 1024;
  } catch {
    return 0;
  }
}

function familyOf(pids: readonly number[]): number[] {
  const childrenOf = (pid: number): number[] => {
    try {
      return readdirSync(`/proc/${pid}/task`).flatMap(thread =>
        readFileSync(`/proc/${pid}/task/${thread}/children`, 'latin1').trim().split(' ').filter(Boolean).map(Number),
      );
    } catch {
      return [];
    }
  };
  return pids.flatMap(pid => [pid, ...familyOf(childrenOf(pid))]);
}
