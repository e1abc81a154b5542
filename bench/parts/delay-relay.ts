import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';

/** A TCP relay that holds each byte back for a while, each way, and has no other limit: distance without a narrow road. */
export interface DelayRelay {
  readonly port: number;
  close(): Promise<void>;
}

/** Bytes on their way, each way, before a sender is not read any more: a gigabyte a second for 128 ms. */
const mostHeld = 128 * 2 ** 20;
/** One write to the kernel takes this many chunks at most. */
const mostAtOnce = 64;

/**
 * What a sender sees of TCP ends here, so its congestion window knows nothing of the distance: only what a protocol waits for
 * by itself does (windows of HTTP/2, requests and their answers).
 * @param targetPort on 127.0.0.1
 * @param delayMs one way
 */
export async function startDelayRelay(targetPort: number, delayMs: number): Promise<DelayRelay> {
  const links = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true, noDelay: true, highWaterMark: 2 ** 20 }, near => {
    const far = connect({ port: targetPort, host: '127.0.0.1', allowHalfOpen: true, noDelay: true });
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      links.add(from);
      from.on('close', () => links.delete(from));
      forward(from, to, delayMs);
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  return {
    port: typeof address === 'object' ? (address?.port ?? 0) : 0,
    async close() {
      const closed = once(server, 'close');
      server.close();
      for (const socket of links) socket.destroy();
      await closed;
    },
  };
}

function forward(from: Socket, to: Socket, delayMs: number): void {
  /** In order of their time. The last is `undefined` when the sender has ended. */
  const waiting: { readonly dueAt: number; readonly chunk: Buffer | undefined }[] = [];
  let held = 0;
  /** `pass` will run by itself. */
  let isDue = false;
  let timer: NodeJS.Timeout | undefined;

  function put(chunk: Buffer | undefined): void {
    waiting.push({ dueAt: performance.now() + delayMs, chunk });
    held += chunk?.length ?? 0;
    if (held >= mostHeld) from.pause();
    if (isDue) return;
    isDue = true;
    timer = setTimeout(pass, delayMs);
  }
  function pass(): void {
    const now = performance.now();
    let passed = 0;
    to.cork();
    // What falls due within half a millisecond goes now: timers have no finer grain, and would only be late.
    for (; passed < mostAtOnce && (waiting[passed]?.dueAt ?? Number.POSITIVE_INFINITY) <= now + 0.5; passed++) {
      const { chunk } = waiting[passed] ?? {};
      if (chunk === undefined) to.end();
      else {
        to.write(chunk);
        held -= chunk.length;
      }
    }
    to.uncork();
    waiting.splice(0, passed);
    if (held < mostHeld / 2) from.resume();
    const next = waiting[0];
    isDue = next !== undefined;
    if (next === undefined) return;
    // A receiver that does not read is waited for.
    if (to.writableNeedDrain) to.once('drain', pass);
    else if (next.dueAt <= performance.now() + 0.5) setImmediate(pass);
    else timer = setTimeout(pass, next.dueAt - performance.now());
  }
  from.on('data', put);
  from.on('end', () => put(undefined));
  from.on('error', () => to.destroy());
  to.on('close', () => clearTimeout(timer));
}
