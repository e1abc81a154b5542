import { link, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Failure, messageOf } from './failure.ts';
import { commandLine } from './process-table.ts';
import { randomHex } from './random.ts';

/** Who has claimed: its process id, and the moment the system started it, since ids are used again. */
interface Holder {
  readonly pid: number;
  readonly born: string;
}

/**
 * Claims what a file stands for, for as long as this process lives or until `release`.
 * @returns a claim, or the id of the living process that holds it (this one included)
 */
export async function claim(file: string): Promise<{ release(): Promise<void> } | { heldBy: number }> {
  const own = `${file}.${randomHex(16)}`;
  try {
    for (;;) {
      // Linked from a finished file: nobody ever reads a half-written one.
      await writeFile(own, `${process.pid} ${await bornAt(process.pid)}\n`, { mode: 0o600 });
      if (await linkNew(own, file)) return { release: () => rm(file, { force: true }) };
      const holder = await read(file);
      if (holder === undefined) continue;
      if (await isAlive(holder)) return { heldBy: holder.pid };
      // Moved aside first: of several who find it stale, one gets it; and if that was a new one by now, it goes back.
      const aside = `${own}.stale`;
      await rename(file, aside).catch(() => {});
      const moved = await read(aside);
      if (moved !== undefined && (await isAlive(moved))) await linkNew(aside, file);
      await rm(aside, { force: true });
    }
  } finally {
    await rm(own, { force: true });
  }
}

/**
 * Makes a folder that is this user's alone, if need be, and claims it: what is in it is one process's at a time.
 * @param code what failures begin with
 * @param what the other process runs from it, for people
 * @throws Failure `…_DATA`: it cannot be made; `…_HELD`
 */
export async function claimFolder(
  dir: string,
  { code, what }: { code: string; what: string },
): Promise<{ release(): Promise<void> }> {
  await mkdir(dir, { recursive: true, mode: 0o700 }).catch(error => {
    throw new Failure(`${code}_DATA`, `cannot make ${dir}: ${messageOf(error)}`, { cause: error });
  });
  const mine = await claim(join(dir, 'owner'));
  if ('release' in mine) return mine;
  throw new Failure(
    `${code}_HELD`,
    `process ${mine.heldBy} runs the ${what} of ${dir} already: stop that one, or choose another --data`,
  );
}

async function linkNew(from: string, to: string): Promise<boolean> {
  try {
    await link(from, to);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

async function read(file: string): Promise<Holder | undefined> {
  const text = await readFile(file, 'utf8').catch(() => undefined);
  if (text === undefined) return undefined;
  const [pid, born = ''] = text.trim().split(' ');
  return { pid: Number(pid), born };
}

async function isAlive({ pid, born }: Holder): Promise<boolean> {
  return Number.isInteger(pid) && pid > 0 && commandLine(pid) !== undefined && (await bornAt(pid)) === born;
}

/** Clock ticks from boot to the start of the process (field 22 of its stat); a dash where there is no /proc. */
async function bornAt(pid: number): Promise<string> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  // The second field is the program's name, in parentheses, and may hold anything.
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '-';
}
