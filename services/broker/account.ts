import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Failure, messageOf } from '../lib/failure.ts';
import { replaceFile } from '../lib/replace-file.ts';

export interface Account {
  readonly user: string;
  readonly password: string;
}

export interface AccountOnDisk extends Account {
  /** The file that holds it, 0600. */
  readonly file: string;
}

/**
 * The administrator's account of a broker for which no password was given: made once, with 24 random bytes, and kept
 * in `<dir>/account` as JSON. The broker itself keeps only a hash.
 * @throws Failure BROKER_ACCOUNT when what is there is another user's, or damaged
 */
export async function keptAccount(dir: string, user: string): Promise<AccountOnDisk> {
  const file = join(dir, 'account');
  const text = await readFile(file, 'utf8').catch(error => {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new Failure('BROKER_ACCOUNT', `cannot read ${file}: ${messageOf(error)}`, { cause: error });
  });
  if (text === undefined) {
    const account = { user, password: randomBytes(24).toString('base64url') };
    await replaceFile(file, `${JSON.stringify(account)}\n`);
    return { ...account, file };
  }
  const kept = parseAccount(text);
  if (kept === undefined)
    throw new Failure('BROKER_ACCOUNT', `${file} is damaged: remove it, and a new password is made`);
  if (kept.user !== user) {
    throw new Failure(
      'BROKER_ACCOUNT',
      `${file} holds the account of ${kept.user}, not of ${user}: give a password too (WARREN_BROKER_PASSWORD), or remove that file`,
    );
  }
  return { ...kept, file };
}

function parseAccount(text: string): Account | undefined {
  try {
    const { user, password } = JSON.parse(text) as Partial<Record<keyof Account, unknown>>;
    return typeof user === 'string' && typeof password === 'string' ? { user, password } : undefined;
  } catch {
    return undefined;
  }
}
