import { rename, writeFile } from 'node:fs/promises';

/** Writes a small file that is this user's alone (0600). Readers see the old text or the new, never half of one. */
export async function replaceFile(file: string, text: string): Promise<void> {
  await writeFile(`${file}.new`, text, { mode: 0o600 });
  await rename(`${file}.new`, file);
}
