import { relative, sep } from 'node:path';
import type { PeerServiceDefinition } from '../../../proto/gen/warren/peer/v1/peer.ts';
import { Failure } from '../../lib/failure.ts';
import type { Client } from '../../lib/rpc/definition.ts';
import type { Locate } from '../../peer/locator.ts';
import { isContentId } from '../../peer/merkle.ts';
import { visible } from '../visible.ts';
import { lastName } from './transfer-lines.ts';
import { type FoundView, foundView } from './transfer-view.ts';

export type PeerClient = Client<typeof PeerServiceDefinition>;

/** More than that of the member when it asks the directory, in milliseconds: its reason is better than ours. */
const patienceMs = 15_000;

/** Files that an id's beginning is looked for among. */
const mostLookedAt = 20_000;

const anything = { words: '', prefix: '', type: '', minLength: 0, maxLength: 0, limit: 1_000, after: '' };

/** Page after page. @param most found at most; undefined: all */
export async function searchAll(
  peer: PeerClient,
  query: Partial<typeof anything>,
  most?: number,
): Promise<FoundView[]> {
  const all: FoundView[] = [];
  for (let after = ''; ; ) {
    const { found, next } = await peer.search({ ...anything, ...query, after }, { deadlineMs: patienceMs });
    all.push(...found.map(foundView));
    if (most !== undefined && all.length >= most) return all.slice(0, most);
    if (next === '' || next === after) return all;
    after = next;
  }
}

/** What an id that was typed only in part stands for; itself when it is none, or there is no such file. @throws Failure FILES_SEVERAL */
export async function wholeId(peer: PeerClient, what: string): Promise<string> {
  if (!/^[0-9a-f]{8,63}$/.test(what)) return what;
  const ids = new Set(
    (await searchAll(peer, {}, mostLookedAt)).map(({ fileId }) => fileId).filter(id => id.startsWith(what)),
  );
  const [first] = ids;
  if (ids.size > 1)
    throw new Failure('FILES_SEVERAL', `several files have an id that begins with ${what}: type more of it`);
  return first ?? what;
}

/** The different files whose path or last name is exactly this. */
export async function namedSo(peer: PeerClient, name: string): Promise<FoundView[]> {
  const found = await searchAll(peer, { words: name }, 1_000);
  const byPath = found.filter(({ path }) => path === name);
  const same = byPath.length > 0 ? byPath : found.filter(({ path }) => lastName(path) === name);
  return [...new Map(same.map(each => [each.fileId, each])).values()];
}

/** @throws Failure FILES_NOT_FOUND, FILES_SEVERAL */
export async function idOf(peer: PeerClient, what: string): Promise<string> {
  if (isContentId(what)) return what;
  const [first, second] = await namedSo(peer, what);
  if (first === undefined)
    throw new Failure(
      'FILES_NOT_FOUND',
      `nobody shares ${visible(what)} (warren files search WORDS finds by parts of a name)`,
    );
  if (second !== undefined)
    throw new Failure(
      'FILES_SEVERAL',
      `several different files are called ${visible(what)} (warren files search ${visible(what)} lists them): take one by its id`,
    );
  return first.fileId;
}

/** So many members that have it, those with all of it first. @param among of these alone, if any are given */
export async function sourcesOf(
  peer: PeerClient,
  { fileId, locate }: { fileId: string; locate?: Locate | undefined },
  most: number,
  among: readonly string[],
): Promise<string[]> {
  const { holders } = await peer.locate({ fileId, locate }, { deadlineMs: patienceMs });
  const able = holders.filter(({ memberId }) => among.length === 0 || among.includes(memberId));
  if (able.length === 0) throw new Failure('FILES_NOT_FOUND', `nobody who is there now has ${fileId}`);
  return able
    .toSorted((one, other) => Number(other.isComplete) - Number(one.isComplete))
    .slice(0, most)
    .map(({ memberId }) => memberId);
}

/** Where the share is on this machine; empty: there is none. */
export async function shareRoot(peer: PeerClient): Promise<string> {
  return (await peer.listShared({ path: '', after: '', limit: 1 })).root;
}

/** The path in a share of what is in its folder; undefined: it is not. */
export function pathInShare(root: string, file: string): string | undefined {
  const inside = root === '' ? '' : relative(root, file);
  return inside === '' || inside === '..' || inside.startsWith(`..${sep}`) ? undefined : inside.split(sep).join('/');
}
