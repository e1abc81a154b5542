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
const pausePatienceMs = 3_000;

interface Followed {
  /** What to type to go on. */
  readonly again: string;
  /** Where the share is, to say where the file is now; empty: that is not said. */
  place(): Promise<string>;
}

/**
 * Shows a transfer until it is over, on standard error; then where it is, on standard output. An interrupt pauses it.
 * @param begin asks for it
 * @throws Failure FILES_FAILED, FILES_CANCELLED, FILES_PAUSED, FILES_INTERRUPTED, and what the call throws
 */
export async function followTransfer(
  asked: Asked,
  begin: (signal: AbortSignal) => AsyncIterable<{ readonly transfer?: Transfer | undefined }>,
  { again, place }: Followed,
): Promise<void> {
  const { given, io, stop, dataDir } = asked;
  const leaving = new AbortController();
  const progress = showProgress(asked);
  const startedAt = performance.now();
  let last: TransferView | undefined;
  let hasMoved = false;

  let pausing: Promise<void> | undefined;
  const interrupt = (): void => {
    pausing ??= pauseTransfer(asked, last?.transferId).finally(() => leaving.abort());
  };
  stop.addEventListener('abort', interrupt);
  if (stop.aborted) interrupt();
  try {
    for await (const { transfer } of begin(leaving.signal)) {
      if (transfer === undefined) continue;
      last = viewOf(transfer);
      progress.show(last);
      // One that was paused is told so once before it goes on.
      if (last.state === 'paused' && hasMoved && pausing === undefined) break;
      hasMoved ||= last.state !== 'paused';
      if (isOver(last)) break;
    }
  } catch (error) {
    if (pausing === undefined) throw error;
  } finally {
    stop.removeEventListener('abort', interrupt);
    progress.close();
  }
  await pausing;
  const data = given.one('--data') ?? given.settings.find((_, at) => given.settings[at - 1] === '--data');
  const goOn = `${again}${data === undefined ? '' : ` --data ${data}`}`;
  if (last?.state === 'done') return done(asked, last, performance.now() - startedAt, await place());
  if (pausing !== undefined)
    throw new Failure(
      'FILES_INTERRUPTED',
      last === undefined
        ? 'interrupted before it began'
        : `paused at ${formatShare(last.verified, last.length)}; to go on: ${goOn}`,
    );
  if (last === undefined) throw new Failure('FILES_FAILED', `the member of ${dataDir} did not begin`);
  const name = visible(last.path || last.fileId);
  if (last.state === 'cancelled') throw new Failure('FILES_CANCELLED', `${name}: cancelled from elsewhere`);
  if (last.state === 'paused')
    throw new Failure(
      'FILES_PAUSED',
      `${name}: paused from elsewhere at ${formatShare(last.verified, last.length)}; to go on: ${goOn}`,
    );
  throw new Failure(
    'FILES_FAILED',
    `${name}: ${last.state === 'failed' ? wordsOf(last) : 'the member ended it without a word'}`,
  );

  async function done(asked: Asked, view: TransferView, tookMs: number, root: string): Promise<void> {
    if (given.has('--json')) return;
    if (!given.has('--quiet')) io.err(`${doneLine(view, tookMs)}\n`);
    const { join } = await import('node:path');
    if (root !== '' && view.direction === 'down') asked.io.out(`${visible(join(root, view.path))}\n`);
  }
}

async function pauseTransfer({ daemon }: Asked, transferId: string | undefined): Promise<void> {
  if (transferId === undefined) return;
  const peer = daemon.client(PeerServiceDefinition);
  // One that has just ended cannot be paused, and need not be.
  await peer.pause({ transferId }, { deadlineMs: pausePatienceMs }).catch(() => {});
}

interface Progress {
  show(transfer: TransferView): void;
  close(): void;
}

function showProgress({ given, io }: Asked): Progress {
  if (given.has('--json'))
    return { show: transfer => io.out(jsonLine({ event: 'transfer', ...transfer })), close: () => {} };
  if (given.has('--quiet')) return { show: () => {}, close: () => {} };
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
    close: () => live.close(latest?.state === 'done' ? lines({ ...latest, sources: [] }) : undefined),
  };
}

function plainProgress(write: (text: string) => void): Progress {
  let latest: TransferView | undefined;
  let saidState = '';
  const say = (): void => {
    if (latest === undefined || isOver(latest)) return;
    saidState = wordsOf(latest);
    write(`${transferLine(latest)}\n`);
  };
  const timer = setInterval(say, lineApartMs);
  return {
    show(transfer) {
      latest = transfer;
      if (wordsOf(transfer) !== saidState) say();
    },
    close: () => clearInterval(timer),
  };
}
