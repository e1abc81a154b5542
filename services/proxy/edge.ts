import { createServer, type IncomingMessage, type Server, type ServerResponse, STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import type { Part } from '../../proto/gen/warren/proxy/v1/job.ts';
import type { Route } from '../config/config.ts';
import { isTraceparent } from '../lib/trace.ts';
import { lookupOf, storageOf } from './cache-policy.ts';
import { type CacheStore, etagMatches, type Hit, storedResponse } from './cache-store.ts';
import type { Dispatcher } from './dispatcher.ts';
import { firstOf, requestFields, responseFields } from './fields.ts';
import { type BodyBudget, gatherBody, hasBody } from './request-body.ts';
import type { RequestRecord } from './request-log.ts';
import type { RouteTable } from './routes.ts';

/** Bodies up to this size may travel in a job that is executed again when its worker dies. */
const repeatableBodyLimit = 256 * 1024;
const repeatableMethods = new Set(['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE']);
const served = 'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS';
const safeMethods = new Set(['GET', 'HEAD', 'OPTIONS']);

export interface EdgeOptions {
  readonly headerLimit: number;
  readonly bodyLimit: number;
  readonly maxConnections: number;
  readonly queueTimeoutMs: number;
  readonly idleTimeoutMs: number;
  readonly headerTimeoutMs: number;
  readonly bodyTimeoutMs: number;
}

export interface EdgeParts {
  readonly routes: RouteTable;
  readonly cache: CacheStore;
  readonly dispatcher: Dispatcher;
  readonly budget: BodyBudget;
  readonly isTrusted: (address: string) => boolean;
  /** Monotonic milliseconds. */
  readonly clock: () => number;
  readonly onRequest: (record: RequestRecord) => void;
}

/** The HTTP/1.1 server: turns requests into jobs or answers them from the cache. */
export function createEdge(parts: EdgeParts, options: EdgeOptions): Server {
  const server = createServer(
    {
      maxHeaderSize: options.headerLimit,
      headersTimeout: options.headerTimeoutMs,
      requestTimeout: 0, // Bodies are timed by progress, not as a whole.
      keepAliveTimeout: options.idleTimeoutMs,
      connectionsCheckingInterval: 500,
      requireHostHeader: true,
      noDelay: true,
    },
    (request, response) => new Transaction(request, response, parts, options).begin(),
  );
  server.on('connection', (socket: Socket) => {
    server.getConnections((_error, count) => {
      if (count > options.maxConnections) socket.end(plainResponse(503, 'too many connections', 'Retry-After: 1\r\n'));
    });
  });
  server.on('clientError', refuseGarbage);
  return server;
}

/** One request, from its head to the end of its response. */
class Transaction {
  readonly #request: IncomingMessage;
  readonly #response: ServerResponse;
  readonly #parts: EdgeParts;
  readonly #options: EdgeOptions;
  readonly #startedAt: number;
  readonly #client: string;
  #route: Route | undefined;
  #key = '';
  #forward = 'miss';
  #held = 0;

  constructor(request: IncomingMessage, response: ServerResponse, parts: EdgeParts, options: EdgeOptions) {
    this.#request = request;
    this.#response = response;
    this.#parts = parts;
    this.#options = options;
    this.#startedAt = parts.clock();
    const address = request.socket.remoteAddress ?? '';
    this.#client = address.startsWith('::ffff:') ? address.slice(7) : address;
  }

  begin(): void {
    const { method = 'GET', url = '/', rawHeaders } = this.#request;
    const host = firstOf(rawHeaders, 'host') ?? '';
    if (!url.startsWith('/') && !(url === '*' && method === 'OPTIONS'))
      return this.#refuse(400, 'request target not in origin form');
    if (method === 'TRACE' || method === 'CONNECT')
      return this.#refuse(405, `${method} is not served`, ['Allow', served]);
    if (url === '*') return this.#refuse(204, '', ['Allow', served]);
    const route = this.#parts.routes.find(host, url);
    if (!route) return this.#refuse(404, 'no route for this host and path');
    this.#route = route;
    this.#key = `http://${host.toLowerCase()}${url}`;

    const lookup = lookupOf(method, rawHeaders);
    this.#forward = lookup.forward;
    const hit = this.#parts.cache.find(this.#key, rawHeaders, lookup, this.#parts.clock());
    if (hit) return this.#answerFromCache(hit);
    if (lookup.onlyIfCached) return this.#refuse(504, 'not in the cache');

    if (!this.#parts.dispatcher.canTake()) return this.#refuse(503, 'no broker', retryAfter(1));
    const limits = { bytes: this.#options.bodyLimit, progressMs: this.#options.bodyTimeoutMs };
    gatherBody(this.#request, limits, this.#parts.budget, body => {
      if (body === undefined) return;
      if (!Buffer.isBuffer(body))
        return this.#refuse(body.status, body.reason, body.status === 503 ? retryAfter(1) : []);
      this.#held = body.length;
      this.#dispatch(route, body);
    });
  }

  #answerFromCache({ response, ageSeconds, ttlSeconds }: Hit): void {
    const { method, rawHeaders } = this.#request;
    const own = ['Age', String(ageSeconds), 'Cache-Status', `warren; hit; ttl=${ttlSeconds}`];
    const ifNoneMatch = firstOf(rawHeaders, 'if-none-match');
    if (ifNoneMatch !== undefined && etagMatches(ifNoneMatch, response.etag)) {
      const fields = withoutLength(response.fields);
      this.#response.writeHead(304, fields.concat(own));
      this.#response.end();
    } else {
      this.#response.writeHead(response.status, response.fields.concat(own));
      this.#response.end(method === 'HEAD' ? undefined : response.body);
    }
    if (hasBody(this.#request)) this.#request.resume();
    this.#record(response.status, 'cache');
  }

  #dispatch(route: Route, body: Buffer): void {
    const { method = 'GET', url = '/', rawHeaders, httpVersion, headers } = this.#request;
    const peer = { address: this.#client, scheme: 'http' as const, isTrusted: this.#parts.isTrusted(this.#client) };
    const traceparent = headers.traceparent;
    const abandon = this.#parts.dispatcher.dispatch(
      {
        service: route.service,
        method,
        target: url,
        fields: requestFields(rawHeaders, httpVersion, peer),
        body,
        claim: !isRepeatable(method, headers['idempotency-key'] !== undefined && route.idempotencyKey, body.length),
        deadlineMs: route.deadlineMs,
        traceparent: typeof traceparent === 'string' && isTraceparent(traceparent) ? traceparent : undefined,
      },
      {
        part: part => {
          this.#response.off('close', onClose);
          this.#answer(route, part);
        },
        ended: ({ status, reason }) => {
          this.#response.off('close', onClose);
          const wait = reason === 'no broker' ? 1 : Math.max(1, Math.ceil(this.#options.queueTimeoutMs / 1000));
          this.#refuse(status, reason, status === 503 ? retryAfter(wait) : []);
        },
      },
    );
    const onClose = (): void => {
      abandon();
      this.#record(499, { reason: 'client went away' });
    };
    this.#response.on('close', onClose);
  }

  #answer(route: Route, { head, failure, body }: Part): void {
    if (!head) return this.#refuse(failure?.status ?? 502, failure?.reason ?? 'the worker sent no head');
    const { method = 'GET', rawHeaders } = this.#request;
    const bodiless = method === 'HEAD' || head.status === 304;
    const fields = responseFields(head.fields, bodiless);
    const storage = storageOf(
      { method, requestFields: rawHeaders, status: head.status, responseFields: head.fields },
      route.ttlSeconds,
      Date.now(),
    );
    let cacheStatus = `warren; fwd=${this.#forward}`;
    if (storage) {
      const stored = storedResponse(head.status, fields, Buffer.from(body));
      this.#parts.cache.put(this.#key, rawHeaders, storage, stored, this.#parts.clock());
      cacheStatus += '; stored';
    } else if (!safeMethods.has(method) && head.status < 400) this.#parts.cache.invalidate(this.#key);
    if (!bodiless && head.status !== 204) fields.push('Content-Length', String(body.length));
    fields.push('Cache-Status', cacheStatus);
    try {
      this.#response.writeHead(head.status, fields);
    } catch {
      // Node refuses fields that would break the message apart.
      return this.#refuse(502, 'the upstream sent a malformed header');
    }
    this.#response.end(bodiless ? undefined : body);
    this.#record(head.status, { upstream: head.upstream });
  }

  #refuse(status: number, reason: string, fields: readonly string[] = []): void {
    if (this.#response.destroyed || this.#response.headersSent) return;
    const text = `${status} ${STATUS_CODES[status] ?? ''}: ${reason}\n`;
    const closes = hasBody(this.#request) && !this.#request.complete;
    this.#response.sendDate = true;
    this.#response.writeHead(status, [
      'Content-Type',
      'text/plain; charset=utf-8',
      'Content-Length',
      String(Buffer.byteLength(text)),
      'Cache-Control',
      'no-store',
      'Cache-Status',
      `warren; fwd=${this.#forward}`,
      'Via',
      '1.1 warren',
      ...(closes ? ['Connection', 'close'] : []),
      ...fields,
    ]);
    this.#response.end(this.#request.method === 'HEAD' ? undefined : text);
    if (closes) lingeringClose(this.#request);
    this.#record(status, { reason });
  }

  #record(status: number, by: RequestRecord['by']): void {
    if (this.#held > 0) this.#parts.budget.give(this.#held);
    this.#held = 0;
    const { method = 'GET', url = '/', headers } = this.#request;
    const traceparent = headers.traceparent;
    this.#parts.onRequest({
      client: this.#client,
      method,
      target: url,
      status,
      seconds: (this.#parts.clock() - this.#startedAt) / 1000,
      service: this.#route?.service ?? '',
      by,
      traceparent: typeof traceparent === 'string' && isTraceparent(traceparent) ? traceparent : undefined,
    });
  }
}

function isRepeatable(method: string, hasHonouredKey: boolean, bodyLength: number): boolean {
  return bodyLength <= repeatableBodyLimit && (repeatableMethods.has(method) || hasHonouredKey);
}

function retryAfter(seconds: number): string[] {
  return ['Retry-After', String(seconds)];
}

function withoutLength(fields: readonly string[]): string[] {
  const kept: string[] = [];
  for (let i = 0; i < fields.length; i += 2) {
    if (fields[i] !== 'Content-Length') kept.push(fields[i] ?? '', fields[i + 1] ?? '');
  }
  return kept;
}

/**
 * Answered before the body had come: what is still on its way is read and dropped for a moment, or the reset that follows a
 * close with unread data would take our answer with it (RFC 9112 §9.6).
 */
function lingeringClose(request: IncomingMessage): void {
  request.resume();
  const timer = setTimeout(() => request.socket.destroy(), 1_000);
  request.socket.once('close', () => clearTimeout(timer));
}

/** What Node's parser does not take for HTTP. */
function refuseGarbage(error: NodeJS.ErrnoException, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return;
  }
  const [status, reason] =
    error.code === 'HPE_HEADER_OVERFLOW'
      ? [431, 'header larger than the limit']
      : error.code === 'ERR_HTTP_REQUEST_TIMEOUT'
        ? [408, 'the request took too long to arrive']
        : [400, 'malformed request'];
  socket.end(plainResponse(Number(status), String(reason)));
  setTimeout(() => socket.destroy(), 1_000).unref();
}

function plainResponse(status: number, reason: string, fields = ''): string {
  const text = `${status} ${STATUS_CODES[status] ?? ''}: ${reason}\n`;
  return (
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\nDate: ${new Date().toUTCString()}\r\nContent-Type: text/plain; charset=utf-8\r\n` +
    `Content-Length: ${Buffer.byteLength(text)}\r\nCache-Status: warren; fwd=bypass\r\nVia: 1.1 warren\r\n${fields}Connection: close\r\n\r\n${text}`
  );
}
