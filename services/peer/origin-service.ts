import type { PServerDefinition } from '../../proto/gen/pserver.ts';
import { TransferPhase } from '../../proto/gen/warren/peer/v1/peer.ts';
import type { MemberHost } from '../bus/hosted.ts';
import { Failure } from '../lib/failure.ts';
import { isMemberId } from '../lib/identity/member-id.ts';
import { CallFailure } from '../lib/rpc/call-failure.ts';
import type { Handlers } from '../lib/rpc/definition.ts';
import type { ContentIndex } from './content-index.ts';
import type { Peer } from './peer-service.ts';
import type { OwnTransfer } from './transfer.ts';

export interface OriginNeeds {
  readonly host: Pick<MemberHost, 'directory' | 'addresses' | 'session'>;
  readonly index: ContentIndex;
  readonly peer: Pick<Peer, 'get' | 'put'>;
}

/** The origin's client waits for its reply: without anything coming for so long, in milliseconds, it is told that it is not to be had now. */
const waitMs = 30_000;
const mostListed = 10_000;

/** The origin's `PServer` (ORIGINS: unstructured P2P with a directory server): its eight methods, and what they meant, now with bytes. */
export function createOriginService({ host, index, peer }: OriginNeeds): Handlers<typeof PServerDefinition> {
  const { directory } = host;
  const upload = async (fileName: string, to: readonly string[]): Promise<number> => {
    let worst = 200;
    for (const transfer of await peer.put({ what: fileName, to })) worst = Math.max(worst, await statusOfEnd(transfer));
    return worst;
  };
  const download = async (fileName: string): Promise<number> =>
    statusOfEnd(await peer.get({ what: fileName, to: '', from: [] }));
  const memberAt = async (url: string): Promise<string> => {
    const place = url.replace(/^\w+:\/\//, '').replace(/\/+$/, '');
    for (let after = ''; ; ) {
      const { peers, next } = await directory.listPeers({ token: '', after });
      const found = peers.find(({ peerId, addresses }) => isMemberId(peerId) && addresses.includes(place));
      if (found !== undefined) return found.peerId;
      if (next === '') throw new CallFailure('NOT_FOUND', 'PEER_MEMBER', `nobody is at ${place}`);
      after = next;
    }
  };

  return {
    downloadFile: ({ fileName }) => replied(() => download(fileName)),
    uploadFile: ({ fileName }) => replied(() => upload(fileName, [])),
    // Who asks is at that address, and pulls from here.
    requestFile: ({ url, fileName }) => replied(async () => upload(fileName, [await memberAt(url)])),
    requestUpload: ({ fileName }) =>
      replied(async () => (index.factsOf(fileName) === undefined ? download(fileName) : 200)),
    requestLogIn: ({ username, password }, { signal }) =>
      replied(async () => {
        // An empty one of either is a wrong one, and not the owner who needs none.
        await host.session.logIn({ username: username || ' ', password: password || ' ' }, signal);
        return 200;
      }),
    requestLogOut: (_request, { signal }) =>
      replied(async () => ((await host.session.logOut(signal)).isTold ? 200 : 503)),
    requestPinging: () =>
      replied(async () => {
        await directory.ping({ token: '', addresses: [...host.addresses()] });
        return 200;
      }),
    listIndex: async () => ({ myList: index.listFiles('', mostListed).map(({ path }) => path) }),
  };
}

async function replied(act: () => Promise<number>): Promise<{ statusCode: number }> {
  try {
    return { statusCode: await act() };
  } catch (error) {
    return { statusCode: httpStatusOf(error) };
  }
}

/** When it is over, or nothing has come for a while. */
async function statusOfEnd(transfer: OwnTransfer): Promise<number> {
  let verified = -1;
  for (;;) {
    const timeout = Promise.withResolvers<undefined>();
    const timer = setTimeout(() => timeout.resolve(undefined), waitMs);
    const end = await Promise.race([transfer.done, timeout.promise]).finally(() => clearTimeout(timer));
    if (end === undefined) {
      const now = transfer.view().verified;
      if (now > verified) {
        verified = now;
        continue;
      }
      // It goes on, for when it is asked for again.
      return transfer.view().state === TransferPhase.TRANSFER_PHASE_HELD ? 507 : 503;
    }
    if (end.state === TransferPhase.TRANSFER_PHASE_DONE) return 200;
    if (end.state === TransferPhase.TRANSFER_PHASE_CANCELLED) return 410;
    if (end.reason === 'DISK_FULL') return 507;
    if (end.reason === 'POLICY' || end.reason === 'QUOTA') return 403;
    return end.reason === 'FILE' || end.reason === 'NO_SOURCE' ? 404 : 502;
  }
}

function httpStatusOf(error: unknown): number {
  if (!(error instanceof Failure)) return 500;
  // Several files of that name.
  if (error.code === 'PEER_AMBIGUOUS') return 409;
  if (error.code === 'DIRECTORY_ALONE') return 503;
  if (error.code.startsWith('BUS_')) return 503;
  if (error.code.startsWith('PEER_PATH') || error.code === 'PEER_ID') return 400;
  if (!(error instanceof CallFailure)) return 500;
  switch (error.status) {
    case 'NOT_FOUND':
      return 404;
    case 'UNAUTHENTICATED':
      return 401;
    case 'PERMISSION_DENIED':
      return 403;
    case 'RESOURCE_EXHAUSTED':
      return 429;
    case 'INVALID_ARGUMENT':
    case 'FAILED_PRECONDITION':
      return 400;
    case 'UNAVAILABLE':
    case 'DEADLINE_EXCEEDED':
      return 503;
    default:
      return 500;
  }
}
