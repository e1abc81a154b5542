import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer, type Server as TlsServer } from 'node:https';
import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import type { Head, Part } from '../../proto/gen/warren/proxy/v1/job.ts';
import type { Route } from '../config/config.ts';
import { isTraceparent } from '../lib/trace.ts';
import { lookupOf, storageOf } from './cache-policy.ts';
import { type CacheStore, type Hit, shortBody, storedResponse } from './cache-store.ts';
import { cachedAnswer } from './cached-answer.ts';
import type { Certificate } from './certificate.ts';
import type { Dispatcher } from './dispatcher.ts';
import { type Fields, requestFields, responseFields } from './fields.ts';
import { formatInterim, isInterim } from './interim.ts';
import { maxForwards } from './max-forwards.ts';
import { answerQuickly } from './quick-answer.ts';
import { refuseSocket, sendRefusal } from './refusal.ts';
import { type BodyBudget, gatherBody, hasBody } from './request-body.ts';
import type { RequestRecord } from './request-log.ts';
import { type RequestTarget, requestTarget, withHost, withoutDefaultPort } from './request-target.ts';
import type { RouteTable } from './routes.ts';
import type { Fault } from './wire/fault.ts';
import { guardOf, guardServer } from './wire/guard.ts';

/** Bodies up to this size may travel in a job that is executed again when its worker dies. */
const repeatableBodyLimit = 256 * 1024;
const repeatableMethods = new Set(['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE']);
const served = 'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS';
/** RFC 9110 §9.2.1. */
const safeMethods = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE']);

export interface EdgeOptions {
  readonly headerLimit: number;
  readonly bodyLimit: number;
  readonly maxConnections: number;
  readonly queueTimeoutMs: number;
  readonly idleTimeoutMs: number;
  readonly headerTimeoutMs: number;
  readonly bodyTimeoutMs: number;
  /** Clients use TLS. */
  readonly certificate?: Certificate | undefined;
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

/** The HTTP/1.1 server, over TLS with a certificate: turns requests into jobs or answers them from the cache. */
export function createEdge(parts: EdgeParts, options: EdgeOptions): Server | TlsServer {
  const begin = (request: IncomingMessage, response: ServerResponse, act: (transaction: Transaction) => void): void => {
    const transaction = new Transaction(request, response, parts, options);
    const guard = guardOf(request.socket);
    const isSafe = safeMethods.has(request.method ?? '');
    const before = guard?.began(response, isSafe, fault => transaction.breakOff(fault));
    if (guard?.isLast) response.shouldKeepAlive = false;
    if (!before) return act(transaction);
    before.once('close', () => {
      // Meanwhile its client may have gone, or its body broken off.
      if (!request.socket.destroyed && !response.headersSent) act(transaction);
    });
  };
  const serverOptions = {
    // The guard counts; Node counts otherwise.
    maxHeaderSize: 2 * options.headerLimit,
    headersTimeout: options.headerTimeoutMs,
    requestTimeout: 0, // Bodies are timed by progress, not as a whole.
    keepAliveTimeout: options.idleTimeoutMs,
    connectionsCheckingInterval: 500,
    requireHostHeader: false, // Checked by us, and said in words.
    optimizeEmptyRequests: true,
    noDelay: true,
    allowHalfOpen: true, // node:http's own default, and not node:https's.
  };
  const onRequest = (request: IncomingMessage, response: ServerResponse): void =>
    begin(request, response, transaction => transaction.begin());
  const { certificate } = options;
  const server = certificate
    ? createTlsServer({ ...serverOptions, ...certificate, handshakeTimeout: options.headerTimeoutMs }, onRequest)
    : createServer(serverOptions, onRequest);
  const accepted = certificate ? 'secureConnection' : 'connection';
  // Fields above Node's limit of their number would be left out.
  server.maxHeadersCount = 0;
  const quick = {
    ...parts,
    scheme: certificate ? ('https' as const) : ('http' as const),
    keepAliveSeconds: Math.floor(options.idleTimeoutMs / 1000),
  };
  guardServer(server, accepted, {
    headerLimit: options.headerLimit,
    headerTimeoutMs: options.headerTimeoutMs,
    quick: (octets, socket) => answerQuickly(octets, socket, quick),
    refuse: (socket, fault, isHead) =>
      refuseSocket(socket, { ...fault, fields: fault.status === 405 ? ['Allow', served] : [] }, isHead),
  });
  let connections = 0;
  server.on(accepted, (socket: Socket) => {
    connections++;
    socket.once('close', () => connections--);
    if (connections <= options.maxConnections) return;
    guardOf(socket)?.leave();
    refuseSocket(socket, { status: 503, reason: 'too many connections', fields: retryAfter(1) });
  });
  // Whether there is room for the body is decided before it is asked for (RFC 9110 §10.1.1).
  server.on('checkContinue', (request, response) =>
    begin(request, response, transaction => transaction.begin(() => response.writeContinue())),
  );
  server.on('checkExpectation', (request, response) =>
    begin(request, response, transaction => transaction.refuse(417, 'only 100-continue can be expected')),
  );
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
  readonly #scheme: 'http' | 'https';
  #route: Route | undefined;
  #fields: Fields = [];
  #key = '';
  #target: RequestTarget = { host: '', path: '/', isAbsolute: false };
  #forward = 'miss';
  #held = 0;
  #stopGathering: (() => void) | undefined;

  constructor(request: IncomingMessage, response: ServerResponse, parts: EdgeParts, options: EdgeOptions) {
    this.#request = request;
    this.#response = response;
    this.#parts = parts;
    this.#options = options;
    this.#startedAt = parts.clock();
    const address = request.socket.remoteAddress ?? '';
    this.#scheme = request.socket instanceof TLSSocket ? 'https' : 'http';
    this.#client = address.startsWith('::ffff:') ? address.slice(7) : address;
  }

  /** @param askForBody when the client waits to be asked */
  begin(askForBody?: () => void): void {
    const { method = 'GET', url = '/', rawHeaders, httpVersion } = this.#request;
    const isSecure = this.#scheme === 'https' || this.#parts.isTrusted(this.#client);
    const target = requestTarget(url, method, httpVersion, rawHeaders, isSecure);
    if ('reason' in target) return this.refuse(target.status, target.reason);
    if (method === 'TRACE') return this.refuse(405, 'TRACE is not served', ['Allow', served]);
    if (target.path === '*') return this.refuse(204, '', ['Allow', served]);
    if (method === 'OPTIONS') {
      const hops = maxForwards(rawHeaders);
      if (typeof hops === 'string')
        return hops === 'answer' ? this.refuse(204, '', ['Allow', served]) : this.refuse(400, hops);
      this.#fields = hops.fields;
    } else this.#fields = rawHeaders;
    const route = this.#parts.routes.find(target.host, target.path);
    if (!route) return this.refuse(404, 'no route for this host and path');
    this.#route = route;
    this.#target = target;
    this.#key = `${this.#scheme}://${withoutDefaultPort(target.host, this.#scheme)}${target.path}`;

    const lookup = lookupOf(method, rawHeaders);
    this.#forward = lookup.forward;
    const hit = askForBody ? undefined : this.#parts.cache.find(this.#key, rawHeaders, lookup, this.#parts.clock());
    if (hit) return this.#answerFromCache(hit);
    if (lookup.onlyIfCached) return this.refuse(504, 'not in the cache');

    if (!this.#parts.dispatcher.canTake()) return this.refuse(503, 'no broker', retryAfter(1));
    const limits = { bytes: this.#options.bodyLimit, progressMs: this.#options.bodyTimeoutMs };
    this.#stopGathering = gatherBody(this.#request, limits, this.#parts.budget, askForBody, body => {
      if (body === undefined) return;
      if (!Buffer.isBuffer(body))
        return this.refuse(body.status, body.reason, body.status === 503 ? retryAfter(1) : []);
      this.#held = body.length;
      this.#dispatch(route, body);
    });
  }

  #answerFromCache(hit: Hit): void {
    const { method = 'GET', rawHeaders } = this.#request;
    const { status, fields, isBodiless } = cachedAnswer(hit, method, rawHeaders);
    this.#response.writeHead(status, fields);
    if (isBodiless) this.#response.end();
    else endWith(this.#response, hit.response.body, hit.response.text);
    if (hasBody(this.#request)) this.#request.resume();
    guardOf(this.#request.socket)?.expectHit();
    this.#record(status, 'cache');
  }

  #dispatch(route: Route, body: Buffer): void {
    const { method = 'GET', httpVersion, headers } = this.#request;
    const { path, host, isAbsolute } = this.#target;
    const peer = { address: this.#client, scheme: this.#scheme, isTrusted: this.#parts.isTrusted(this.#client) };
    const traceparent = headers.traceparent;
    const abandon = this.#parts.dispatcher.dispatch(
      {
        service: route.service,
        method,
        target: path,
        fields: requestFields(isAbsolute ? withHost(this.#fields, host) : this.#fields, httpVersion, peer),
        body,
        claim: !isRepeatable(method, headers['idempotency-key'] !== undefined && route.idempotencyKey, body.length),
        deadlineMs: route.deadlineMs,
        traceparent: typeof traceparent === 'string' && isTraceparent(traceparent) ? traceparent : undefined,
      },
      {
        part: part => {
          if (part.head && isInterim(part.head.status)) return this.#interim(part.head);
          this.#response.off('close', onClose);
          this.#answer(route, part);
        },
        ended: ({ status, reason }) => {
          this.#response.off('close', onClose);
          const wait = reason === 'no broker' ? 1 : Math.max(1, Math.ceil(this.#options.queueTimeoutMs / 1000));
          this.refuse(status, reason, status === 503 ? retryAfter(wait) : []);
        },
      },
    );
    const onClose = (): void => {
      abandon();
      this.#record(499, { reason: 'client went away' });
    };
    this.#response.on('close', onClose);
  }

  /** Only while it is this response's turn, and to whoever can know of it (RFC 9110 §15.2: not to HTTP/1.0). */
  #interim({ status, fields }: Head): void {
    const { socket, headersSent } = this.#response;
    if (!socket || headersSent || this.#request.httpVersion === '1.0') return;
    const text = formatInterim(status, fields);
    if (text !== undefined) socket.write(text, 'latin1');
  }

  #answer(route: Route, { head, failure, body }: Part): void {
    if (!head) return this.refuse(errorStatus(failure?.status), failure?.reason ?? 'the worker sent no head');
    if (head.status < 200 || head.status > 999) return this.refuse(502, `the upstream sent status ${head.status}`);
    const { method = 'GET', rawHeaders } = this.#request;
    const bodiless = method === 'HEAD' || head.status === 304;
    const fields = responseFields(head.fields, bodiless);
    const storage = storageOf(
      { method, requestFields: rawHeaders, status: head.status, responseFields: head.fields },
      route.ttlSeconds,
      Date.now(),
    );
    const stored = storage && storedResponse(head.status, fields, Buffer.from(body));
    const length = bodiless || head.status === 204 ? [] : ['Content-Length', String(body.length)];
    const cacheStatus = `warren; fwd=${this.#forward}${stored ? '; stored' : ''}`;
    try {
      this.#response.writeHead(head.status, [...fields, ...length, 'Cache-Status', cacheStatus]);
    } catch {
      // Node refuses fields that would break the message apart.
      return this.refuse(502, 'the upstream sent a malformed header');
    }
    // Its age counts from when it was asked for (RFC 9111 §4.2.3).
    if (stored) this.#parts.cache.put(this.#key, rawHeaders, storage, stored, this.#startedAt);
    else if (!safeMethods.has(method) && head.status < 400) this.#parts.cache.invalidate(this.#key);
    if (bodiless) this.#response.end();
    else endWith(this.#response, body);
    this.#record(head.status, { upstream: head.upstream });
  }

  /** What is left of the body cannot be read. */
  breakOff({ status, reason }: Fault): void {
    this.#stopGathering?.();
    if (this.#response.headersSent) this.#request.socket.destroy();
    else this.refuse(status, reason);
  }

  refuse(status: number, reason: string, fields: readonly string[] = []): void {
    if (this.#response.destroyed || this.#response.headersSent) return;
    sendRefusal(this.#request, this.#response, { status, reason, fields }, this.#forward);
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

/** A short body goes out with its head in one write, as text: a write of two pieces costs more than the copy. */
function endWith(response: ServerResponse, body: Buffer, text?: string): void {
  if (body.length > shortBody) response.end(body);
  else response.end(text ?? body.toString('latin1'), 'latin1');
}

function isRepeatable(method: string, hasHonouredKey: boolean, bodyLength: number): boolean {
  return bodyLength <= repeatableBodyLimit && (repeatableMethods.has(method) || hasHonouredKey);
}

/** What a worker may say went wrong; anything else is its own fault. */
function errorStatus(status: number | undefined): number {
  return status !== undefined && status >= 400 && status <= 599 ? status : 502;
}

function retryAfter(seconds: number): string[] {
  return ['Retry-After', String(seconds)];
}
