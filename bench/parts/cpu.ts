import { readdirSync, readFileSync } from 'node:fs';

/** Linux says 100 to every program that asks, whatever the kernel's own tick. */
const ticksPerSecond = 100;
const usPerTick = 1_000_000 / ticksPerSecond;

interface Stat {
  readonly pid: number;
  readonly parent: number;
  /** Microseconds of CPU, user and system: own, and of the children it has waited for. */
  readonly ownUs: number;
  readonly reapedUs: number;
}

/** CPU time, in microseconds, that these processes and all that they started have used since they began. */
export function cpuOf(pids: readonly number[]): number {
  const all = readAll();
  const family = new Set(pids);
  // Parents may have higher ids than their children, so: until nobody is added.
  for (let before = 0; before !== family.size; ) {
    before = family.size;
    for (const { pid, parent } of all) if (family.has(parent)) family.add(pid);
  }
  return all.filter(({ pid }) => family.has(pid)).reduce((sum, { ownUs, reapedUs }) => sum + ownUs + reapedUs, 0);
}

/** The same of this process's children that have ended: load generators. */
export function cpuOfEnded(): number {
  return read(process.pid)?.reapedUs ?? 0;
}

/** CPU time of the whole machine since it began, in microseconds of all cores: all there was, and all that was used. */
export function cpuOfMachine(): { readonly allUs: number; readonly usedUs: number } {
  // proc(5), /proc/stat: user, nice, system, idle, iowait, irq, softirq, steal (what the host gave to others).
  const ticks = readFileSync('/proc/stat', 'latin1').split('\n')[0]?.trim().split(/\s+/).slice(1, 9).map(Number) ?? [];
  const all = ticks.reduce((sum, count) => sum + count, 0);
  const unused = (ticks[3] ?? 0) + (ticks[4] ?? 0);
  return { allUs: all * usPerTick, usedUs: (all - unused) * usPerTick };
}

function readAll(): Stat[] {
  return readdirSync('/proc')
    .filter(name => /^\d+$/.test(name))
    .map(name => read(Number(name)))
    .filter(stat => stat !== undefined);
}

/** proc(5), /proc/pid/stat: the second field is a name in brackets that may hold anything. */
function read(pid: number): Stat | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    const at = (field: number): number => Number(fields[field - 3] ?? 0);
    return { pid, parent: at(4), ownUs: (at(14) + at(15)) * usPerTick, reapedUs: (at(16) + at(17)) * usPerTick };
  } catch {
    return undefined; // Ended meanwhile.
  }
}
