import { type GetResponse, PeerServiceDefinition } from '../../../proto/gen/warren/peer/v1/peer.ts';
import { Failure } from '../../lib/failure.ts';
import { isMemberId } from '../../lib/identity/member-id.ts';
import { CallFailure } from '../../lib/rpc/call-failure.ts';
import { isLocate, type Locate } from '../../peer/locator.ts';
import { refusalOfPath } from '../../peer/share-path.ts';
import { jsonLine, visible } from '../visible.ts';
import type { Asked } from './asked.ts';
import { followTransfer } from './follow-transfer.ts';
import { idOf, namedSo, shareRoot, sourcesOf, wholeId } from './look-up.ts';
import { countOf } from './search.ts';
import { foundTable } from './tables.ts';

export async function get(asked: Asked): Promise<void> {
  const { given } = asked;
  const [what = ''] = given.words;
  const to = placeInShare(given.one('--to') ?? '');
  const sources = given.one('--sources');
  const most = sources === undefined ? undefined : countOf(sources, '--sources');
  const from = given.all('--from');
  const odd = from.find(id => !isMemberId(id));
  if (odd !== undefined)
    throw new Failure('CONFIG', `--from wants a member's id, 64 hexadecimal digits, not ${JSON.stringify(odd)}`);
  const locate = given.one('--locate');
  if (locate !== undefined && !isLocate(locate))
    throw new Failure('CONFIG', `--locate wants directory, ring or both, not ${JSON.stringify(locate)}`);
  await pull(asked, { what, to, from, most, locate });
}

export interface Pull {
  readonly what: string;
  /** In the share; empty: its own name. */
  readonly to: string;
  readonly from: readonly string[];
  /** Sources; undefined: all. */
  readonly most?: number | undefined;
  /** As of GetRequest. */
  readonly locate?: Locate | undefined;
}

/** @throws Failure FILES_SEVERAL, after they have been listed, and of `followTransfer` */
export async function pull(asked: Asked, { what: typed, to, from, most, locate }: Pull): Promise<void> {
  const peer = asked.daemon.client(PeerServiceDefinition);
  try {
    const what = await wholeId(peer, typed);
    const chosen =
      most === undefined ? from : await sourcesOf(peer, { fileId: await idOf(peer, what), locate }, most, from);
    await followTransfer(
      asked,
      signal => peer.get({ what, to, from: [...chosen], locate }, { signal }) as AsyncIterable<GetResponse>,
      {
        again: `warren files get ${quoted(typed)}${to === '' ? '' : ` --to ${quoted(to)}`}`,
        place: () => shareRoot(peer),
      },
    );
  } catch (error) {
    if (!(error instanceof CallFailure) || error.status !== 'FAILED_PRECONDITION') throw error;
    const several = await namedSo(peer, typed);
    if (several.length < 2) throw error;
    if (asked.given.has('--json')) for (const found of several) asked.io.out(jsonLine({ event: 'found', ...found }));
    else asked.io.out(foundTable(several, asked.io.outColumns?.()));
    throw new Failure(
      'FILES_SEVERAL',
      `${several.length} different files are called ${visible(typed)}: take one by its id, as in warren files get ${several[0]?.fileId}`,
      { cause: error },
    );
  }
}

function placeInShare(to: string): string {
  if (to === '') return to;
  const refusal = refusalOfPath(to, process.platform === 'win32' ? 'windows' : 'posix');
  if (refusal === undefined) return to;
  throw new Failure(
    'CONFIG',
    refusal === 'ABSOLUTE' || refusal === 'DOTS'
      ? `--to is a path within the share, as in --to papers/a.pdf, and not ${JSON.stringify(to)}; from there it can be copied anywhere`
      : `--to ${JSON.stringify(to)} cannot be in a share (${refusal})`,
  );
}

/** As it is typed in a shell. */
function quoted(text: string): string {
  return /^[\w./-]+$/.test(text) ? text : `'${visible(text).replaceAll("'", "'\\''")}'`;
}
