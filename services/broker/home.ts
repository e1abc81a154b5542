import { mkdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Failure, messageOf } from '../lib/failure.ts';
import { replaceFile } from '../lib/replace-file.ts';
import type { Account } from './account.ts';

/** What others on this machine who use the same data directory need to know of its broker; each file 0600. */
const files = { url: 'url', http: 'http-url' } as const;

export interface Whereabouts {
  /** amqp://user:password@host:port */
  readonly url: string;
  /** http://user:password@host:port; undefined: it has no HTTP API that we know of. */
  readonly http: string | undefined;
}

/** The broker's folder in a data directory, made 0700 with all above it. @throws Failure DATA_DIR */
export async function brokerDir(dataDir: string): Promise<string> {
  const dir = join(dataDir, 'broker');
  try {
    await mkdir(dataDir, { recursive: true, mode: 0o700 });
    await mkdir(dir, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw new Failure('DATA_DIR', `cannot make the data directory ${dir}: ${messageOf(error)}`, { cause: error });
  }
  return dir;
}

export async function tellWhereabouts(dir: string, { url, http }: Whereabouts): Promise<void> {
  if (http !== undefined) await replaceFile(join(dir, files.http), `${http}\n`);
  await replaceFile(join(dir, files.url), `${url}\n`);
}

export async function readWhereabouts(dir: string): Promise<Whereabouts | undefined> {
  const read = async (name: string): Promise<string> =>
    (await readFile(join(dir, name), 'utf8').catch(() => '')).trim();
  const url = await read(files.url);
  return url === '' ? undefined : { url, http: (await read(files.http)) || undefined };
}

export async function forgetWhereabouts(dir: string): Promise<void> {
  for (const name of Object.values(files)) await rm(join(dir, name), { force: true });
}

/** How this machine reaches what listens on that address. */
export function urlOf(scheme: string, { user, password }: Account, host: string, port: number): string {
  const all = host === '' || host === '0.0.0.0' || host === '::';
  const name = all ? '127.0.0.1' : host.includes(':') ? `[${host}]` : host;
  return `${scheme}://${encodeURIComponent(user)}:${encodeURIComponent(password)}@${name}:${port}`;
}
