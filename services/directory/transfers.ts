import { TransferEvent, TransferState } from '../../proto/gen/warren/peer/v1/events.ts';
import type { Delivery } from '../bus/bus.ts';
import { messageOf } from '../lib/failure.ts';
import { isMemberId, memberOfBrokerAccount } from '../lib/identity/member-id.ts';
import type { Download, DownloadCounts } from './download-counts.ts';
import { isFileId } from './shared-file.ts';

export interface Transfers {
  take(delivery: Delivery): void;
  /** Counts what has come. */
  flush(): void;
}

const bytesLimit = 16 * 1024;
const waitingLimit = 10_000;

/** Hears how transfers go, and counts those that are done, several at a time: `flush` is to be called now and then. */
export function createTransfers({
  downloads,
  now,
  warn,
}: {
  downloads: DownloadCounts;
  /** Milliseconds since 1970. */
  now: () => number;
  warn: (line: string) => void;
}): Transfers {
  let waiting: Download[] = [];
  return {
    take(delivery) {
      const download = downloadIn(delivery);
      if (download && waiting.length < waitingLimit) waiting.push(download);
    },
    flush() {
      const done = waiting;
      waiting = [];
      try {
        downloads.count(done, now());
      } catch (error) {
        warn(`cannot count ${done.length} downloads: ${messageOf(error)}`);
      }
    },
  };
}

/** Undefined for what is no end of a download, and for what somebody says of others. */
function downloadIn({ type, key, userId, body }: Delivery): Download | undefined {
  if (type !== 'warren.peer.v1.TransferEvent' || body.length > bytesLimit) return undefined;
  let event: TransferEvent;
  try {
    event = TransferEvent.decode(body);
  } catch {
    return undefined;
  }
  const { transferId, memberId, fileId, state, sources } = event;
  if (!isMemberId(key) || memberId !== key || memberOfBrokerAccount(userId ?? '') !== key) return undefined;
  if (state !== TransferState.TRANSFER_STATE_DONE || !isFileId(fileId)) return undefined;
  if (transferId === '' || transferId.length > 64) return undefined;
  const moved = sources.slice(0, sourcesLimit).reduce((sum, { bytes }) => sum + bytes, 0);
  return { memberId, fileId, transferId, bytes: Math.min(moved, Number.MAX_SAFE_INTEGER) };
}

const sourcesLimit = 64;
