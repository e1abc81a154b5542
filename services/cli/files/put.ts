import { stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { PeerServiceDefinition, type PutResponse } from '../../../proto/gen/warren/peer/v1/peer.ts';
import { Failure } from '../../lib/failure.ts';
import { isMemberId } from '../../lib/identity/member-id.ts';
import { visible } from '../visible.ts';
import type { Asked } from './asked.ts';
import { followTransfer } from './follow-transfer.ts';
import { type PeerClient, pathInShare, shareRoot, wholeId } from './look-up.ts';
import { shareOnce } from './share-once.ts';

const lookMs = 250;
/** Looks, before it is said what is waited for. */
const sayAfter = 8;

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
  const { what, isOnDisk } = await sharedPathOf(asked, peer, file);
  if (isOnDisk) await whenHashed(asked, peer, what);
  await followTransfer(asked, signal => peer.put({ what, to: [...to] }, { signal }) as AsyncIterable<PutResponse>, {
    again: `warren files put ${/^[\w./-]+$/.test(file) ? file : JSON.stringify(file)}${to.map(id => ` --peer ${id}`).join('')}`,
    place: async () => '',
  });
}

/** A file of this machine is shared first; what is none is a path of the share, or an id. */
async function sharedPathOf(
  { io, stop }: Asked,
  peer: PeerClient,
  file: string,
): Promise<{ what: string; isOnDisk: boolean }> {
  const from = resolve(io.cwd, file);
  if ((await stat(from).catch(() => undefined)) === undefined)
    return { what: await wholeId(peer, file), isOnDisk: false };
  const root = await shareRoot(peer);
  const inside = pathInShare(root, from);
  if (inside !== undefined) return { what: inside, isOnDisk: true };
  const { path } = await shareOnce(peer, { root, from, to: '', stop });
  return { what: path, isOnDisk: true };
}

/** What has just come into the share has no id yet. @throws Failure FILES_REFUSED when it gets none */
async function whenHashed({ given, io, stop }: Asked, peer: PeerClient, path: string): Promise<void> {
  for (let tries = 0; !stop.aborted; tries++) {
    const { files } = await peer.listShared({ path, after: '', limit: 1_000 });
    const own = files.find(each => each.path === path);
    if (own !== undefined && own.refused !== '')
      throw new Failure('FILES_REFUSED', `${visible(path)} cannot be shared: ${visible(own.refused)}`);
    if (files.some(({ fileId }) => fileId !== '')) return;
    if (tries === sayAfter && !given.has('--json') && !given.has('--quiet'))
      io.err(`${visible(path)} is being hashed\n`);
    await wait(lookMs, undefined, { signal: stop }).catch(() => {});
  }
}
