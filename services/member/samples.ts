import { constants } from 'node:fs';
import { copyFile, mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';

/** One folder for each member of the first try; what is in all of them has several sources. */
export const sampleSets = ['one', 'two', 'three'] as const;

/**
 * Copies the sample files of a member into a folder, which is made if need be; never over what is there.
 * @param member from 0; behind the last set it begins anew
 * @returns the names, sorted
 */
export async function prepareSamples(dir: string, member = 0): Promise<string[]> {
  const from = join(import.meta.dirname, 'samples', sampleSets[member % sampleSets.length] ?? 'one');
  const names = (await readdir(from)).sort();
  await mkdir(dir, { recursive: true });
  await Promise.all(
    names.map(name =>
      copyFile(join(from, name), join(dir, name), constants.COPYFILE_EXCL).catch((error: NodeJS.ErrnoException) => {
        if (error.code !== 'EEXIST') throw error;
      }),
    ),
  );
  return names;
}
