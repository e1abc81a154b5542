import { stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { PeerServiceDefinition } from '../../../proto/gen/warren/peer/v1/peer.ts';
import { Failure } from '../../lib/failure.ts';
import { jsonLine, visible } from '../visible.ts';
import { askYes } from './ask.ts';
import type { Asked } from './asked.ts';
import { listShared } from './list.ts';
import { pathInShare, shareRoot } from './look-up.ts';
import { shareOnce } from './share-once.ts';

export async function share({ given, daemon, io, stop }: Asked): Promise<void> {
  const peer = daemon.client(PeerServiceDefinition);
  const [what] = given.words;
  if (given.has('--list')) return listShared(peer, io, { path: what ?? '', isJson: given.has('--json') });
  if (what === undefined)
    throw new Failure(
      'CONFIG',
      `share what? warren files share PATH, or --list${given.has('--stop') ? ', or --stop PATH' : ''}`,
    );
  if (given.has('--stop')) {
    const path = what.replace(/\/+$/, '');
    if (!given.has('--yes')) await askYes(`delete ${visible(path)} from the share?`, '--yes', io, stop);
    await peer.remove({ path });
    io.out(given.has('--json') ? jsonLine({ path }) : `${visible(path)} is shared no longer\n`);
    return;
  }
  const from = resolve(io.cwd, what);
  if ((await stat(from).catch(() => undefined)) === undefined)
    throw new Failure('CONFIG', `there is no ${visible(from)} to share`);
  const root = await shareRoot(peer);
  const inside = pathInShare(root, from);
  if (inside !== undefined)
    throw new Failure('CONFIG', `${visible(inside)} is in the share already (warren files list)`);
  const { path, isNew } = await shareOnce(peer, { root, from, to: given.one('--to') ?? '', stop });
  io.out(
    given.has('--json')
      ? jsonLine({ path })
      : `${visible(path)} is shared${isNew ? '' : ' already'} (warren files list shows it with its id, once it is hashed)\n`,
  );
}
