import type { IncomingMessage } from 'node:http';

/** Why a body did not come whole, as an HTTP status and a line for the client. */
export interface BodyRefusal {
  readonly status: 408 | 413 | 503;
  readonly reason: string;
}

export interface BodyLimits {
  readonly bytes: number;
  /** Longer ones are not gathered: they stream. */
  readonly wholeBytes: number;
  /** Without a byte for this long the client gets 408. */
  readonly progressMs: number;
}

/** The beginning of a body that is too long to be gathered; the rest is still with the client. */
export interface LongBody {
  readonly beginning: Buffer;
}

/** Bytes of bodies that all requests of a proxy hold together. */
export class BodyBudget {
  readonly #limit: number;
  #used = 0;

  constructor(limitBytes: number) {
    this.#limit = limitBytes;
  }

  take(bytes: number): boolean {
    if (this.#used + bytes > this.#limit) return false;
    this.#used += bytes;
    return true;
  }

  give(bytes: number): void {
    this.#used -= bytes;
  }
}

const nothing = Buffer.alloc(0);

/** Whether the request has a body at all (RFC 9112 §6.3). */
export function hasBody({ headers }: IncomingMessage): boolean {
  return (
    headers['transfer-encoding'] !== undefined ||
    (headers['content-length'] !== undefined && headers['content-length'] !== '0')
  );
}

/**
 * Gathers a request's body and calls back once: with it, with the beginning of a long one, with a refusal, or with undefined when the
 * client went away. What it took from the budget the caller gives back when the request is over.
 * @param ask called when the body can come, for a client that waits for that
 * @returns what stops it, without a call
 */
export function gatherBody(
  request: IncomingMessage,
  limits: BodyLimits,
  budget: BodyBudget,
  ask: (() => void) | undefined,
  done: (body: Buffer | LongBody | BodyRefusal | undefined) => void,
): () => void {
  if (!hasBody(request)) {
    done(nothing);
    return () => {};
  }
  const tooLarge: BodyRefusal = { status: 413, reason: `request body larger than ${limits.bytes} bytes` };
  if (Number(request.headers['content-length'] ?? 0) > limits.bytes) {
    done(tooLarge);
    return () => {};
  }
  if (Number(request.headers['content-length'] ?? 0) > limits.wholeBytes) {
    ask?.();
    done({ beginning: nothing });
    return () => {};
  }
  const chunks: Buffer[] = [];
  let length = 0;
  let timer: NodeJS.Timeout;
  let isOver = false;
  const stop = (outcome?: Buffer | LongBody | BodyRefusal): void => {
    if (isOver) return;
    isOver = true;
    clearTimeout(timer);
    request.off('data', onData).off('end', onEnd).off('close', onClose).off('error', onClose);
    // A late error of a connection that we give up on is nobody's any more.
    request.on('error', () => {});
    if (!outcome || 'status' in outcome) budget.give(length);
  };
  const finish = (outcome: Buffer | LongBody | BodyRefusal | undefined): void => {
    stop(outcome);
    done(outcome);
  };
  const onData = (chunk: Buffer): void => {
    timer.refresh();
    if (length + chunk.length > limits.bytes) return finish(tooLarge);
    if (!budget.take(chunk.length)) return finish({ status: 503, reason: 'too many large requests at once' });
    length += chunk.length;
    chunks.push(chunk);
    if (length <= limits.wholeBytes) return;
    request.pause();
    finish({ beginning: gathered() });
  };
  const gathered = (): Buffer => (chunks.length === 1 && chunks[0] ? chunks[0] : Buffer.concat(chunks, length));
  const onEnd = (): void => finish(gathered());
  const onClose = (): void => finish(undefined);
  timer = setTimeout(
    () => finish({ status: 408, reason: `no byte of the body within ${limits.progressMs} ms` }),
    limits.progressMs,
  );
  ask?.();
  request.on('data', onData).on('end', onEnd).on('close', onClose).on('error', onClose);
  return stop;
}
