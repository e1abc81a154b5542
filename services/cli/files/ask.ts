import { createInterface } from 'node:readline/promises';
import { Failure } from '../../lib/failure.ts';
import type { Io } from '../io.ts';

/**
 * @param flag that says yes beforehand
 * @throws Failure CONFIG when there is nobody to be asked, FILES_CANCELLED when the answer is not yes
 */
export async function askYes(question: string, flag: string, io: Io, stop: AbortSignal): Promise<void> {
  if (!process.stdin.isTTY) throw new Failure('CONFIG', `${question} There is no terminal to ask: ${flag} says so`);
  const lines = createInterface({ input: process.stdin, terminal: false });
  try {
    io.err(`${question} [y/N] `);
    const answer = await lines.question('', { signal: stop }).catch(() => '');
    if (!/^y(?:es)?$/i.test(answer.trim())) throw new Failure('FILES_CANCELLED', 'nothing changed');
  } finally {
    lines.close();
  }
}
