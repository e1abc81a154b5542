import { buildConnector, Pool } from 'undici';
import { messageOf } from '../lib/failure.ts';
import { dropContinue } from './continue-filter.ts';
import { responseProblem } from './response-framing.ts';

export interface UpstreamRequest {
  readonly method: string;
  readonly target: string;
  readonly fields: string[];
  readonly body: Uint8Array;
}

export interface UpstreamResponse {
  readonly kind: 'response';
  readonly status: number;
  readonly fields: string[];
  readonly body: Buffer;
}

/**
 * Why there is no response. `unsent`: no byte of the request went out (no connection could be had), so any other upstream
 * may be asked; `broken`: it may have been done; `aborted`: by us; `too-large`: more body than may travel.
 */
export interface UpstreamFailure {
  readonly kind: 'unsent' | 'invalid' | 'broken' | 'aborted' | 'too-large';
  readonly reason: string;
}

export interface UpstreamOptions {
  readonly connections: number;
  readonly connectTimeoutMs: number;
  readonly responseLimit: number;
}

/** An AbortController with one listener: the real one costs more than all else that a job makes (docs/benchmarks.md). */
export class Cancellation {
  aborted = false;
  onAbort: (() => void) | undefined;

  abort(): void {
    if (this.aborted) return;
    this.aborted = true;
    this.onAbort?.();
  }
}

const fieldsLimit = 64 * 1024;

/** Keep-alive connections to one upstream. */
export class Upstream {
  readonly url: string;
  /** host:port, for people. */
  readonly place: string;
  readonly #pool: Pool;
  readonly #responseLimit: number;

  constructor(url: string, { connections, connectTimeoutMs, responseLimit }: UpstreamOptions) {
    this.url = url;
    this.place = new URL(url).host;
    this.#responseLimit = responseLimit;
    const connect = buildConnector({ timeout: connectTimeoutMs });
    this.#pool = new Pool(url, {
      connections,
      pipelining: 1,
      connect: (place, done) =>
        connect(place, (...result) => {
          if (result[1]) dropContinue(result[1]);
          done(...result);
        }),
      // The job's deadline bounds both; these would only add a second clock.
      headersTimeout: 0,
      bodyTimeout: 0,
      maxHeaderSize: fieldsLimit,
    });
  }

  /** Never rejects. Redirects are passed on, not followed. @param onInterim for each 1xx before the response (RFC 9110 §15.2) */
  call(
    { method, target, fields, body }: UpstreamRequest,
    signal: Cancellation,
    onInterim?: (status: number, fields: string[]) => void,
  ): Promise<UpstreamResponse | UpstreamFailure> {
    return new Promise(resolve => {
      let isSent = false;
      let abort: ((reason: Error) => void) | undefined;
      let status = 0;
      let received: string[] = [];
      const chunks: Buffer[] = [];
      let length = 0;
      const finish = (outcome: UpstreamResponse | UpstreamFailure): void => {
        signal.onAbort = undefined;
        resolve(outcome);
      };
      // First our word, then the abort: undici reports that as an error at once.
      const onAbort = (): void => {
        finish({ kind: 'aborted', reason: 'aborted' });
        abort?.(new Error('aborted'));
      };
      if (signal.aborted) return onAbort();
      const problem = problemOf(method, target, fields);
      if (problem !== undefined) return finish({ kind: 'invalid', reason: problem });
      signal.onAbort = onAbort;
      this.#pool.dispatch(
        { method, path: target, headers: fields, body: body.length > 0 ? body : null },
        {
          onRequestStart(controller) {
            if (signal.aborted) return controller.abort(new Error('aborted'));
            isSent = true;
            abort = reason => controller.abort(reason);
          },
          onResponseStart: (controller, statusCode) => {
            received = latin1(controller.rawHeaders);
            if (statusCode < 200) return onInterim?.(statusCode, received);
            status = statusCode;
            const problem = responseProblem(received);
            if (problem === undefined) return;
            finish({ kind: 'broken', reason: problem });
            controller.abort(new Error(problem));
          },
          onResponseData: (controller, chunk) => {
            length += chunk.length;
            if (length > this.#responseLimit) {
              finish({ kind: 'too-large', reason: `the response is larger than ${this.#responseLimit} bytes` });
              controller.abort(new Error('too large'));
            } else chunks.push(chunk);
          },
          onResponseEnd() {
            const whole = chunks.length === 1 && chunks[0] ? chunks[0] : Buffer.concat(chunks, length);
            finish({ kind: 'response', status, fields: received, body: whole });
          },
          onResponseError(_controller, error) {
            finish({ kind: isSent ? 'broken' : 'unsent', reason: messageOf(error) });
          },
        },
      );
    });
  }

  async close(): Promise<void> {
    await this.#pool.destroy();
  }
}

/** RFC 9110 §5.6.2. */
const token = /^[!#$%&'*+.^_`|~0-9a-z-]+$/i;
/** Fields that undici makes itself, and refuses to be given. */
const own = /^(?:connection|keep-alive|transfer-encoding|upgrade|expect|content-length)$/i;

/**
 * What would make undici refuse the request, and with it, its pool. The proxy sends nothing of the kind; whoever stands in for one might.
 */
function problemOf(method: string, target: string, fields: readonly string[]): string | undefined {
  if (!token.test(method)) return 'the method is not a token';
  if (!/^\/[!-\u00ff]*$/.test(target)) return 'the target is not a path';
  if (fields.length % 2 !== 0) return 'a field without a value';
  let hosts = 0;
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i] ?? '';
    if (!token.test(name) || own.test(name)) return `a field may not be named ${JSON.stringify(name)}`;
    if (!/^[\t -~\u0080-\u00ff]*$/.test(fields[i + 1] ?? ''))
      return `the value of ${name} has characters that no field may have`;
    if (name.length === 4 && name.toLowerCase() === 'host') hosts++;
  }
  return hosts > 1 ? 'more than one Host' : undefined;
}

function latin1(raw: unknown): string[] {
  return Array.isArray(raw) ? raw.map(text => (Buffer.isBuffer(text) ? text.toString('latin1') : String(text))) : [];
}
