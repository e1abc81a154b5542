import { PeerServiceDefinition } from '../../../proto/gen/warren/peer/v1/peer.ts';
import { Failure } from '../../lib/failure.ts';
import { jsonLine, visible } from '../visible.ts';
import type { Asked } from './asked.ts';
import { type PeerClient, searchAll } from './look-up.ts';
import { foundTable } from './tables.ts';
import { parseBytes } from './units.ts';

export async function search(asked: Asked): Promise<void> {
  const { given, daemon } = asked;
  const words = given.words.join(' ');
  const type = (given.one('--type') ?? '').replace(/^\./, '').toLowerCase();
  if (words === '' && type === '' && !given.has('--min-size') && !given.has('--max-size'))
    throw new Failure(
      'CONFIG',
      'what is sought? warren files search WORDS (all there is: warren files list --network)',
    );
  const query = {
    ...{ words, type },
    minLength: sizeOf(given.one('--min-size'), '--min-size'),
    maxLength: sizeOf(given.one('--max-size'), '--max-size'),
  };
  await showFound(
    daemon.client(PeerServiceDefinition),
    asked,
    query,
    countOf(given.one('--limit') ?? '100', '--limit'),
  );
}

/** @throws Failure FILES_NOT_FOUND when there is nothing */
export async function showFound(
  peer: PeerClient,
  { given, io }: Asked,
  query: Parameters<typeof searchAll>[1],
  most: number,
): Promise<void> {
  const found = await searchAll(peer, query, most + 1);
  if (found.length === 0)
    throw new Failure(
      'FILES_NOT_FOUND',
      query.words
        ? `nobody shares such a file with ${visible(query.words)} in its name`
        : 'nobody shares such a file now',
    );
  const shown = found.slice(0, most);
  if (given.has('--json')) {
    for (const each of shown) io.out(jsonLine(each));
    return;
  }
  const columns = io.outColumns?.();
  io.out(foundTable(shown, columns));
  if (found.length > most) io.err(`and more: --limit shows them, further words make it fewer\n`);
  if (columns !== undefined) io.err('to have one: warren files get NAME, or ID\n');
}

/** @throws Failure CONFIG */
export function countOf(text: string, flag: string): number {
  if (!/^[1-9]\d{0,5}$/.test(text))
    throw new Failure('CONFIG', `${flag} wants a number from 1 on, not ${JSON.stringify(text)}`);
  return Number(text);
}

/** Bytes. @throws Failure CONFIG */
export function sizeOf(text: string | undefined, flag: string): number {
  if (text === undefined) return 0;
  const bytes = parseBytes(text);
  if (bytes === undefined)
    throw new Failure(
      'CONFIG',
      `${flag} wants a size as in 10M or 1.5G (K, M, G, T: powers of 1024), not ${JSON.stringify(text)}`,
    );
  return bytes;
}
