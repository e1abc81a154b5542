import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { replaceFile } from '../lib/replace-file.ts';

const shape = z.object({ url: z.string(), pid: z.int() });

/** Where a directory that runs serves its REST, in its folder, for who looks after the machine: its port may be any. */
export async function tellPlace(dir: string, url: string): Promise<void> {
  await replaceFile(fileIn(dir), `${JSON.stringify({ url, pid: process.pid })}\n`);
}

export async function forgetPlace(dir: string): Promise<void> {
  await rm(fileIn(dir), { force: true });
}

/** Undefined when none runs; one that was killed has left what it said. */
export async function readPlace(dir: string): Promise<z.infer<typeof shape> | undefined> {
  try {
    return shape.parse(JSON.parse(await readFile(fileIn(dir), 'utf8')));
  } catch {
    return undefined;
  }
}

function fileIn(dir: string): string {
  return join(dir, 'serves.json');
}
