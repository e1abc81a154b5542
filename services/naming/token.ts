import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Failure, messageOf } from '../lib/failure.ts';
import { randomHex } from '../lib/random.ts';
import { replaceFile } from '../lib/replace-file.ts';

/** The file with which one may write over REST: it is its reader's, who runs naming. */
function tokenFile(dir: string): string {
  return join(dir, 'token');
}

/** The token of naming's folder, made at the first start: 256 random bits. @throws Failure NAMING_DATA */
export async function keepToken(dir: string): Promise<string> {
  const file = tokenFile(dir);
  try {
    const known = (await readFile(file, 'utf8').catch(() => '')).trim();
    if (/^[0-9a-f]{64}$/.test(known)) return known;
    const token = randomHex(64);
    await replaceFile(file, `${token}\n`);
    return token;
  } catch (error) {
    throw new Failure('NAMING_DATA', `cannot keep a token in ${file}: ${messageOf(error)}`, { cause: error });
  }
}
