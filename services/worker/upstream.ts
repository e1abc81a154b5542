import { type ClientRequest, type IncomingMessage, request as requestHttp } from 'node:http';
import { request as requestHttps } from 'node:https';
import type { Duplex, Readable } from 'node:stream';
import { buildConnector, Pool } from 'undici';
import { messageOf } from '../lib/failure.ts';
import { dropContinue } from './continue-filter.ts';
import { responseProblem } from './response-framing.ts';

export interface UpstreamRequest {
  readonly method: string;
  readonly target: string;
  readonly fields: readonly string[];
  readonly body: Uint8Array | Readable;
  /** Of a body that streams, if it is known: sent as `Content-Length`, else it goes chunked. */
  readonly bodyLength?: bigint | undefined;
  /** The `Upgrade` field, or empty. */
  readonly upgrade: string;
}

/** A response as it comes. */
export interface UpstreamListener {
  /** An informational response (1xx), never 101. */
  informed(status: number, fields: string[]): void;
  /** With 101 what follows are the bytes of the connection, until its end. */
  head(status: number, fields: string[]): void;
  /** @returns whether more is welcome now; if not, `Cancellation.resume` asks for it */
  data(chunk: Buffer): boolean;
}

/**
 * How it ended. `complete`: the whole response has come. `unsent`: no byte of the request went out (no connection could be had), so any
 * other upstream may be asked; `invalid`: it cannot be sent; `broken`: it may have been done; `aborted`: by us.
 */
export interface UpstreamEnd {
  readonly kind: 'complete' | 'unsent' | 'invalid' | 'broken' | 'aborted';
  /** One line; empty when complete. */
  readonly reason: string;
}

export interface UpstreamOptions {
  /** Null: as many as there are calls. */
  readonly connections: number | null;
  readonly connectTimeoutMs: number;
}

/** The caller's hold on a call. An AbortController costs more than all else that a job makes (docs/benchmarks.md). */
export class Cancellation {
  aborted = false;
  onAbort: (() => void) | undefined;
  onResume: (() => void) | undefined;

  abort(): void {
    if (this.aborted) return;
    this.aborted = true;
    this.onAbort?.();
  }

  /** More data is welcome again. */
  resume(): void {
    this.onResume?.();
  }
}

const fieldsLimit = 64 * 1024;
const complete: UpstreamEnd = { kind: 'complete', reason: '' };

/** Keep-alive connections to one upstream. */
export class Upstream {
  readonly url: string;
  /** host:port, for people. */
  readonly place: string;
  readonly #pool: Pool;
  readonly #options: UpstreamOptions;

  constructor(url: string, options: UpstreamOptions) {
    this.url = url;
    this.place = new URL(url).host;
    this.#options = options;
    const connect = buildConnector({ timeout: options.connectTimeoutMs });
    this.#pool = new Pool(url, {
      connections: options.connections,
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

  /** Never rejects. Redirects are passed on, not followed. */
  call(request: UpstreamRequest, listener: UpstreamListener, control: Cancellation): Promise<UpstreamEnd> {
    const { method, target, fields, body, bodyLength, upgrade } = request;
    const problem = problemOf(method, target, fields);
    if (problem !== undefined) return Promise.resolve({ kind: 'invalid', reason: problem });
    if (upgrade !== '') return this.#switch(request, listener, control);
    return new Promise(resolve => {
      let isSent = false;
      let abort: ((reason: Error) => void) | undefined;
      let isOver = false;
      const finish = (end: UpstreamEnd): void => {
        if (isOver) return;
        isOver = true;
        control.onAbort = undefined;
        control.onResume = undefined;
        resolve(end);
      };
      // First our word, then the abort: undici reports that as an error at once.
      const onAbort = (): void => {
        finish({ kind: 'aborted', reason: 'aborted' });
        abort?.(new Error('aborted'));
      };
      if (control.aborted) return onAbort();
      control.onAbort = onAbort;
      const isStream = !(body instanceof Uint8Array);
      const headers =
        isStream && bodyLength !== undefined ? [...fields, 'Content-Length', String(bodyLength)] : [...fields];
      this.#pool.dispatch(
        { method, path: target, headers, body: isStream || body.length > 0 ? body : null },
        {
          onRequestStart(controller) {
            if (control.aborted) return controller.abort(new Error('aborted'));
            isSent = true;
            abort = reason => controller.abort(reason);
          },
          onResponseStart: (controller, status) => {
            const received = latin1(controller.rawHeaders);
            if (status < 200) return listener.informed(status, received);
            const framing = responseProblem(received);
            if (framing !== undefined) {
              finish({ kind: 'broken', reason: framing });
              return controller.abort(new Error(framing));
            }
            control.onResume = () => controller.resume();
            listener.head(status, received);
          },
          onResponseData: (controller, chunk) => {
            if (!listener.data(chunk)) controller.pause();
          },
          onResponseEnd() {
            finish(complete);
          },
          onResponseError(_controller, error) {
            finish({ kind: isSent ? 'broken' : 'unsent', reason: messageOf(error) });
          },
        },
      );
    });
  }

  /**
   * A request to switch protocols (RFC 9110 §7.8), on a connection of its own: it will not be one for HTTP again. undici takes any answer
   * but 101 for an error here, and an upstream may say 401, 404 or 426 as well.
   */
  #switch(
    { method, target, fields, body, upgrade }: UpstreamRequest,
    listener: UpstreamListener,
    control: Cancellation,
  ): Promise<UpstreamEnd> {
    const { protocol, hostname, port } = new URL(this.url);
    const isSecure = protocol === 'https:';
    const headers = [...fields, 'Connection', 'Upgrade', 'Upgrade', upgrade];
    return new Promise(resolve => {
      let isSent = false;
      let call: ClientRequest | undefined;
      let switched: Duplex | undefined;
      let isOver = false;
      const finish = (end: UpstreamEnd): void => {
        // What a connection says late must not take the next one's handles.
        if (isOver) return;
        isOver = true;
        clearTimeout(timer);
        control.onAbort = undefined;
        control.onResume = undefined;
        resolve(end);
        if (!(body instanceof Uint8Array)) body.off('error', onError);
        if (switched && end.kind !== 'complete') switched.destroy();
        // A half-closed connection ends when the other side has said all it wants.
        else if (switched && body instanceof Uint8Array) switched.end();
        if (!switched) call?.destroy();
      };
      const onError = (error: unknown): void =>
        finish({ kind: isSent ? 'broken' : 'unsent', reason: messageOf(error) });
      const timer = setTimeout(() => onError(new Error('connect timeout')), this.#options.connectTimeoutMs);
      const receive = (source: IncomingMessage | Duplex): void => {
        control.onResume = () => void source.resume();
        source.on('data', (chunk: Buffer) => {
          if (!listener.data(chunk)) source.pause();
        });
        source.once('end', () => finish(complete));
        source.once('error', onError);
        source.once('close', () => finish({ kind: 'broken', reason: 'the connection closed in the middle' }));
      };
      if (control.aborted) return finish({ kind: 'aborted', reason: 'aborted' });
      control.onAbort = () => finish({ kind: 'aborted', reason: 'aborted' });
      // A pipe ends with its source, and tells nobody when that breaks.
      if (!(body instanceof Uint8Array)) body.once('error', onError);
      const open = isSecure ? requestHttps : requestHttp;
      const host = hostname.replace(/^\[|\]$/g, '');
      call = open({
        host,
        port,
        method,
        path: target,
        headers,
        agent: false,
        setHost: false,
        maxHeaderSize: fieldsLimit,
      });
      call.on('socket', socket =>
        socket.once(isSecure ? 'secureConnect' : 'connect', () => {
          isSent = true;
          clearTimeout(timer);
        }),
      );
      call.on('information', ({ statusCode, rawHeaders }) => listener.informed(statusCode, rawHeaders));
      call.on('response', response => {
        const framing = responseProblem(response.rawHeaders);
        if (framing !== undefined) return finish({ kind: 'broken', reason: framing });
        listener.head(response.statusCode ?? 0, response.rawHeaders);
        receive(response);
      });
      call.on('upgrade', (response, socket, head) => {
        switched = socket;
        socket.setNoDelay(true);
        listener.head(101, response.rawHeaders);
        if (head.length > 0) socket.unshift(head);
        receive(socket);
        if (!(body instanceof Uint8Array)) body.pipe(socket);
      });
      call.on('error', onError);
      call.end();
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
