import { join } from 'node:path';
import { PeerServiceDefinition, type Transfer } from '../../../proto/gen/warren/peer/v1/peer.ts';
import { Failure } from '../../lib/failure.ts';
import { jsonLine, visible } from '../visible.ts';
import type { Asked } from './asked.ts';
import { glyphsFor } from './bar.ts';
import { LiveLines } from './live-lines.ts';
import { doneLine, transferLine, transferLines, wordsOf } from './transfer-lines.ts';
import { isOver, type TransferView, viewOf } from './transfer-view.ts';
import { formatShare } from './units.ts';

/** Where there is no terminal, in milliseconds. */
const lineApartMs = 5_000;
const firstLineMs = 1_000;
const haltPatienceMs = 3_000;

interface Followed {
  /** What to type to go on. */
  readonly again: string;
  /** Where the share is, to say where the file is now; empty: that is not said. */
  place(): Promise<string>;
}

/**
 * Shows transfers until all are over, on standard error; then where what came is, on standard output. An interrupt pauses what comes,
 * and ends the offering of what goes.
 * @param begin asks for them; a stream with one after the other
 * @throws Failure FILES_FAILED, FILES_CANCELLED, FILES_PAUSED, FILES_INTERRUPTED, FILES_MEMBER_GONE, and what the call throws
 */
export async function followTransfer(
  asked: Asked,
  begin: (signal: AbortSignal) => AsyncIterable<{ readonly transfer?: Transfer | undefined }>,
  { again, place }: Followed,
): Promise<void> {
  const { given, stop } = asked;
  const leaving = new AbortController();
  const progress = showProgress(asked);
  let startedAt = performance.now();
  let last: TransferView | undefined;
  let hasMoved = false;
  const goOn = `${again}${dataFlag(given)}`;

  let interrupting: Promise<void> | undefined;
  const interrupt = (): void => {
    interrupting ??= halt(asked, last).finally(() => leaving.abort());
  };
  stop.addEventListener('abort', interrupt);
  if (stop.aborted) interrupt();
  try {
    for await (const { transfer } of begin(leaving.signal)) {
      if (transfer === undefined) continue;
      last = viewOf(transfer);
      progress.show(last);
      // One that was paused is told so once before it goes on.
      if (last.state === 'paused' && hasMoved && interrupting === undefined) break;
      hasMoved ||= last.state !== 'paused';
      if (!isOver(last)) continue;
      if (last.state !== 'done') break;
      progress.end();
      await done(asked, last, performance.now() - startedAt, place);
      startedAt = performance.now();
      hasMoved = false;
    }
  } catch (error) {
    if (interrupting === undefined) throw error;
  } finally {
    stop.removeEventListener('abort', interrupt);
    progress.end();
    progress.close();
  }
  await interrupting;
  if (last?.state !== 'done') throw unfinished(asked, last, goOn, interrupting !== undefined);
}

function unfinished({ dataDir }: Asked, last: TransferView | undefined, goOn: string, isInterrupted: boolean): Failure {
  if (last === undefined)
    return isInterrupted
      ? new Failure('FILES_INTERRUPTED', 'interrupted before it began')
      : new Failure('FILES_FAILED', `the member of ${dataDir} did not begin`);
  const at = formatShare(last.verified, last.length);
  const name = visible(last.path || last.fileId);
  if (isInterrupted)
    return new Failure(
      'FILES_INTERRUPTED',
      last.direction === 'up'
        ? `${name}: offered no longer; who takes it already goes on by itself. To see it through: ${goOn}`
        : `paused at ${at}; to go on: ${goOn}`,
    );
  if (last.state === 'cancelled' && last.detail === 'interrupted')
    return new Failure(
      'FILES_MEMBER_GONE',
      `the member of ${dataDir} has ended, at ${at}: warren member --data ${dataDir}, and then the same command again goes on`,
    );
  if (last.state === 'cancelled') return new Failure('FILES_CANCELLED', `${name}: cancelled from elsewhere`);
  if (last.state === 'paused')
    return new Failure('FILES_PAUSED', `${name}: paused from elsewhere at ${at}; to go on: ${goOn}`);
  return new Failure(
    'FILES_FAILED',
    `${name}: ${last.state === 'failed' ? wordsOf(last) : 'the member ended it without a word'}`,
  );
}

async function done({ given, io }: Asked, view: TransferView, tookMs: number, place: Followed['place']): Promise<void> {
  if (given.has('--json')) return;
  if (!given.has('--quiet')) io.err(`${doneLine(view, tookMs)}\n`);
  const root = view.direction === 'down' ? await place() : '';
  if (root !== '') io.out(`${visible(join(root, view.path))}\n`);
}

/** To be typed behind a command so that it means the same member. */
function dataFlag({ settings }: Asked['given']): string {
  const at = settings.lastIndexOf('--data');
  const inline = settings.findLast(each => each.startsWith('--data='));
  return at !== -1 ? ` --data ${settings[at + 1]}` : inline === undefined ? '' : ` ${inline}`;
}

async function halt({ daemon }: Asked, transfer: TransferView | undefined): Promise<void> {
  if (transfer === undefined) return;
  const { transferId, direction } = transfer;
  const peer = daemon.client(PeerServiceDefinition);
  const options = { deadlineMs: haltPatienceMs };
  const halting = direction === 'up' ? peer.cancel({ transferId }, options) : peer.pause({ transferId }, options);
  // One that has just ended cannot be halted, and need not be.
  await halting.then(
    () => {},
    () => {},
  );
}

interface Progress {
  show(transfer: TransferView): void;
  /** This one is over, or looked at no longer: what stands there stays. */
  end(): void;
  close(): void;
}

function showProgress({ given, io }: Asked): Progress {
  if (given.has('--json'))
    return { show: transfer => io.out(jsonLine({ event: 'transfer', ...transfer })), end: () => {}, close: () => {} };
  if (given.has('--quiet')) return { show: () => {}, end: () => {}, close: () => {} };
  return io.errColumns?.() === undefined
    ? plainProgress(io.err)
    : drawnProgress(io.err, () => io.errColumns?.() ?? 80, io.env);
}

function drawnProgress(write: (text: string) => void, columns: () => number, env: Asked['io']['env']): Progress {
  const live = new LiveLines(write, columns);
  const glyphs = glyphsFor(env);
  let latest: TransferView | undefined;
  // The last column stays free: some terminals would break the line.
  const lines = (transfer: TransferView): string[] => transferLines(transfer, columns() - 1, glyphs);
  return {
    show(transfer) {
      latest = transfer;
      live.update(() => lines(transfer));
    },
    // Who gave what is said by the line that follows.
    end() {
      live.close(latest?.state === 'done' ? lines({ ...latest, sources: [] }) : undefined);
      latest = undefined;
    },
    close: () => {},
  };
}

function plainProgress(write: (text: string) => void): Progress {
  let latest: TransferView | undefined;
  let saidState: string | undefined;
  const say = (): void => {
    if (latest === undefined || isOver(latest)) return;
    saidState = wordsOf(latest);
    write(`${transferLine(latest)}\n`);
  };
  let timer: NodeJS.Timeout | undefined;
  // Of what is over in no time only the end is said.
  const first = setTimeout(() => {
    say();
    timer = setInterval(say, lineApartMs);
  }, firstLineMs);
  return {
    show(transfer) {
      latest = transfer;
      if (timer !== undefined && wordsOf(transfer) !== saidState) say();
    },
    end() {
      latest = undefined;
      saidState = undefined;
    },
    close() {
      clearTimeout(first);
      clearInterval(timer);
    },
  };
}
