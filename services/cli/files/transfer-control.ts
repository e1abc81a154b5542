import { PeerServiceDefinition } from '../../../proto/gen/warren/peer/v1/peer.ts';
import { Failure } from '../../lib/failure.ts';
import { jsonLine, visible } from '../visible.ts';
import type { Asked } from './asked.ts';
import type { PeerClient } from './look-up.ts';
import { transferLine } from './transfer-lines.ts';
import { type TransferView, viewOf } from './transfer-view.ts';

type Act = (peer: PeerClient, transferId: string) => Promise<{ transfer?: Parameters<typeof viewOf>[0] | undefined }>;

function control(word: string, act: Act): (asked: Asked) => Promise<void> {
  return async ({ given, daemon, io }) => {
    const peer = daemon.client(PeerServiceDefinition);
    const [what] = given.words;
    if ((what === undefined) !== given.has('--all'))
      throw new Failure('CONFIG', `which one? warren files ${word} NAME, or --all (see warren files status)`);
    const running = (await peer.listTransfers({ withPast: false })).transfers.map(viewOf);
    const meant = what === undefined ? running : running.filter(each => isMeant(each, what));
    if (meant.length === 0 && what !== undefined)
      throw new Failure(
        'FILES_NOT_FOUND',
        `no transfer that is not over is called ${visible(what)} (see warren files status)`,
      );
    for (const { transferId } of meant) {
      const { transfer } = await act(peer, transferId);
      if (transfer === undefined) continue;
      const view = viewOf(transfer);
      io.out(given.has('--json') ? jsonLine(view) : `${transferLine(view)}\n`);
    }
  };
}

/** By its id or the beginning of it, the file's id, or its path. */
function isMeant({ transferId, fileId, path }: TransferView, what: string): boolean {
  const isBeginning = what.length >= 6 && (transferId.startsWith(what) || fileId.startsWith(what));
  return isBeginning || path === what || path.endsWith(`/${what}`);
}

export const pause = control('pause', (peer, transferId) => peer.pause({ transferId }));
export const resume = control('resume', (peer, transferId) => peer.resume({ transferId }));
export const cancel = control('cancel', (peer, transferId) => peer.cancel({ transferId }));
