import { PeerServiceDefinition } from '../../../proto/gen/warren/peer/v1/peer.ts';
import { Failure } from '../../lib/failure.ts';
import type { Io } from '../io.ts';
import { jsonLine } from '../visible.ts';
import type { Asked } from './asked.ts';
import type { PeerClient } from './look-up.ts';
import { showFound } from './search.ts';
import { sharedTable } from './tables.ts';
import { type SharedView, sharedView } from './transfer-view.ts';

/** Of a network that is shown whole. */
const mostFound = 10_000;

export async function list(asked: Asked): Promise<void> {
  const { given, daemon, io } = asked;
  const peer = daemon.client(PeerServiceDefinition);
  const [path = ''] = given.words;
  if (given.has('--network')) {
    if (path !== '')
      throw new Failure(
        'CONFIG',
        'a folder goes with the own list only: warren files search WORDS finds in the network',
      );
    return showFound(peer, asked, {}, mostFound);
  }
  await listShared(peer, io, { path: path.replace(/\/+$/, ''), isJson: given.has('--json') });
}

/** What the own member shares. @param path a folder of it, with all below; empty: everything */
export async function listShared(
  peer: PeerClient,
  io: Io,
  { path, isJson }: { path: string; isJson: boolean },
): Promise<void> {
  const files: SharedView[] = [];
  let pending = 0;
  let root = '';
  for (let after = ''; ; ) {
    const page = await peer.listShared({ path, after, limit: 0 });
    ({ pending, root } = page);
    const views = page.files.map(sharedView);
    if (isJson) for (const view of views) io.out(jsonLine(view));
    else files.push(...views);
    if (page.next === '' || page.next === after) break;
    after = page.next;
  }
  if (isJson) return;
  io.out(sharedTable(files, io.outColumns?.()));
  if (pending > 0) io.err(`${pending} more ${pending === 1 ? 'is' : 'are'} being hashed, and will be shared then\n`);
  else if (files.length === 0)
    io.err(
      path === ''
        ? `nothing is shared yet: warren files share FILE|FOLDER${root === '' ? '' : `, or put it into ${root}`}\n`
        : `nothing is shared under ${path}\n`,
    );
}
