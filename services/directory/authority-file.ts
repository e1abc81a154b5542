import { createPrivateKey, X509Certificate } from 'node:crypto';
import { mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Failure, messageOf } from '../lib/failure.ts';
import { type Authority, createAuthority } from '../lib/identity/authority.ts';

const certificateFile = 'authority.pem';
const keyFile = 'authority-key.pem';

/**
 * The network's authority, in two files of the directory's folder, both 0600; made when neither is there, and never overwritten:
 * with another one, all members would have to join anew.
 * @param dir the directory's folder
 * @throws Failure AUTHORITY when one is missing or damaged, or they do not belong together
 */
export async function keptAuthority(dir: string, now: number): Promise<Authority> {
  await finish(dir);
  const found = await readAuthority(dir);
  if (found !== undefined) return found;
  const made = await createAuthority(now);
  await mkdir(dir, { recursive: true, mode: 0o700 });
  // Both under another name first, so that a crash leaves either nothing or what `finish` completes.
  await writeNew(join(dir, keyFile), made.key);
  await writeNew(join(dir, certificateFile), made.certificate);
  await rename(join(dir, `${keyFile}.new`), join(dir, keyFile));
  await rename(join(dir, `${certificateFile}.new`), join(dir, certificateFile));
  return made;
}

/** @returns undefined when there is none yet @throws Failure AUTHORITY */
export async function readAuthority(dir: string): Promise<Authority | undefined> {
  const certificate = await read(join(dir, certificateFile));
  const key = await read(join(dir, keyFile));
  if (certificate === undefined && key === undefined) return undefined;
  if (certificate === undefined || key === undefined) {
    const [missing, there] = key === undefined ? [keyFile, certificateFile] : [certificateFile, keyFile];
    throw new Failure(
      'AUTHORITY',
      `the network's authority in ${dir} is half gone: ${missing} is missing; put it back from a backup, or remove ${there} too to begin a new network`,
    );
  }
  try {
    if (!new X509Certificate(certificate).checkPrivateKey(createPrivateKey(key)))
      throw new Error('the key is not the one of the certificate');
  } catch (cause) {
    throw new Failure(
      'AUTHORITY',
      `the network's authority in ${dir} is damaged (${messageOf(cause)}): put ${certificateFile} and ${keyFile} back from a backup`,
      { cause },
    );
  }
  return { certificate, key };
}

/** A crash between the two renames. */
async function finish(dir: string): Promise<void> {
  const [key, certificate] = [await read(join(dir, keyFile)), await read(join(dir, certificateFile))];
  if (key === undefined || certificate !== undefined) return;
  await rename(join(dir, `${certificateFile}.new`), join(dir, certificateFile)).catch(() => {});
}

async function writeNew(file: string, text: string): Promise<void> {
  await rm(`${file}.new`, { force: true });
  const handle = await open(`${file}.new`, 'wx', 0o600);
  try {
    await handle.writeFile(text);
    // Members trust it for years: it must not be lost with the power.
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function read(file: string): Promise<string | undefined> {
  return await readFile(file, 'utf8').catch(error => {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new Failure('AUTHORITY', `cannot read ${file}: ${messageOf(error)}`, { cause: error });
  });
}
