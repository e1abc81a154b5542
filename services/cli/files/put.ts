import { stat } from 'node:fs/promises';
import { relative, resolve, sep } from 'node:path';
import { PeerServiceDefinition, type PutResponse } from '../../../proto/gen/warren/peer/v1/peer.ts';
import { Failure } from '../../lib/failure.ts';
import { isMemberId } from '../../lib/identity/member-id.ts';
import type { Asked } from './asked.ts';
import { followTransfer } from './follow-transfer.ts';
import { type PeerClient, shareRoot } from './look-up.ts';

/** A large file is copied in one call. */
const copyPatienceMs = 3_600_000;

export async function put(asked: Asked): Promise<void> {
  const { given } = asked;
  const [file = ''] = given.words;
  const to = given.all('--peer');
  const odd = to.find(id => !isMemberId(id));
  if (odd !== undefined)
    throw new Failure('CONFIG', `--peer wants a member's id, 64 hexadecimal digits, not ${JSON.stringify(odd)}`);
  await offer(asked, file, to);
}

/** @param to members; empty: one that the directory names */
export async function offer(asked: Asked, file: string, to: readonly string[]): Promise<void> {
  const peer = asked.daemon.client(PeerServiceDefinition);
  const what = await sharedPathOf(asked, peer, file);
  await followTransfer(asked, signal => peer.put({ what, to: [...to] }, { signal }) as AsyncIterable<PutResponse>, {
    again: `warren files put ${/^[\w./-]+$/.test(file) ? file : JSON.stringify(file)}${to.map(id => ` --peer ${id}`).join('')}`,
    place: async () => '',
  });
}

/** A file of this machine is shared first; what is none is a path of the share, or an id. */
async function sharedPathOf({ io, stop }: Asked, peer: PeerClient, file: string): Promise<string> {
  const from = resolve(io.cwd, file);
  if ((await stat(from).catch(() => undefined)) === undefined) return file;
  const root = await shareRoot(peer);
  const inside = root === '' ? '..' : relative(root, from);
  if (inside !== '' && inside !== '..' && !inside.startsWith(`..${sep}`)) return inside.split(sep).join('/');
  const { path } = await peer.share({ from, to: '' }, { deadlineMs: copyPatienceMs, signal: stop });
  return path;
}
