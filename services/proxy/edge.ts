import { createServer, type IncomingMessage, type Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Route } from '../config/config.ts';
import type { ReceivedPart } from '../lib/parts.ts';
import { isTraceparent } from '../lib/trace.ts';
import { BodyPump } from './body-pump.ts';
import { lookupOf, storageOf } from './cache-policy.ts';
import { type CacheStore, etagMatches, type Hit, shortBody, storedResponse } from './cache-store.ts';
import { type Dispatcher, isInterim, type JobHandle } from './dispatcher.ts';
import { firstOf, listOf, requestFields, responseFields } from './fields.ts';
import { refuseGarbage, refuseSocket, sendRefusal } from './refusal.ts';
import { type BodyBudget, gatherBody, hasBody } from './request-body.ts';
import type { RequestRecord } from './request-log.ts';
import { type RequestTarget, requestTarget, withHost } from './request-target.ts';
import type { RouteTable } from './routes.ts';
import { StreamedResponse, type Streaming } from './streamed-response.ts';
import { switchProtocols, Tunnel } from './tunnel.ts';

/** Bodies up to this size may travel in a job that is executed again when its worker dies. */
const repeatableBodyLimit = 256 * 1024;
const repeatableMethods = new Set(['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE']);
const served = 'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS';
/** Bytes of a streamed response that are kept to be stored. */
const storedLimit = 8 * 1024 * 1024;
const nothing = Buffer.alloc(0);
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

/** The edge, and the connections on which protocols were switched, which are no longer its server's. */
export interface Edge {
  readonly server: Server;
  readonly tunnels: ReadonlySet<Tunnel>;
}

/** The HTTP/1.1 server: turns requests into jobs or answers them from the cache. */
export function createEdge(parts: EdgeParts, options: EdgeOptions): Edge {
  const tunnels = new Set<Tunnel>();
  /** Connections above the limit, told so; Node goes on reading what they send. */
  const refused = new WeakSet<Socket>();
  const begin = (request: IncomingMessage, response: ServerResponse): Transaction | undefined =>
    refused.has(request.socket) ? undefined : new Transaction(request, response, parts, options, tunnels);
  const server = createServer(
    {
      maxHeaderSize: options.headerLimit,
      headersTimeout: options.headerTimeoutMs,
      requestTimeout: 0, // Bodies are timed by progress, not as a whole.
      keepAliveTimeout: options.idleTimeoutMs,
      connectionsCheckingInterval: 500,
      requireHostHeader: false, // Checked by us, and said in words.
      noDelay: true,
      // A client that went without a word is noticed, also behind a stream that says nothing for hours.
      keepAlive: true,
      keepAliveInitialDelay: 60_000,
      shouldUpgradeCallback: canSwitch,
    },
    (request, response) => begin(request, response)?.begin(),
  );
  let connections = 0;
  server.on('connection', (socket: Socket) => {
    connections++;
    socket.once('close', () => connections--);
    if (connections <= options.maxConnections) return;
    refused.add(socket);
    refuseSocket(socket, { status: 503, reason: 'too many connections', fields: retryAfter(1) });
  });
  server.on('connect', (_request: IncomingMessage, socket: Socket) =>
    refuseSocket(socket, { status: 405, reason: 'CONNECT is not served', fields: ['Allow', served] }),
  );
  server.on('checkExpectation', (request, response) =>
    begin(request, response)?.refuse(417, 'only 100-continue can be expected'),
  );
  server.on('upgrade', (request: IncomingMessage, socket: Socket, head: Buffer) => {
    // The socket is nobody's now. Until it is a tunnel it is answered as any other request's.
    const response = new ServerResponse(request);
    response.assignSocket(socket);
    response.shouldKeepAlive = false;
    response.once('finish', () => socket.end());
    socket.on('error', () => socket.destroy());
    begin(request, response)?.begin(head);
  });
  server.on('clientError', refuseGarbage);
  return { server, tunnels };
}

/** A request to switch protocols that the upstream is asked (RFC 9110 §7.8); others are served as if they had not asked. */
function canSwitch({ method, headers, httpVersion }: IncomingMessage): boolean {
  const protocol = headers.upgrade?.trim().toLowerCase() ?? '';
  const hasNoBody = headers['transfer-encoding'] === undefined && (headers['content-length'] ?? '0') === '0';
  return (
    httpVersion === '1.1' &&
    hasNoBody &&
    method !== 'TRACE' &&
    protocol !== '' &&
    !/^(?:h2c|h2|http|tls)\b/.test(protocol)
  );
}

/** One request, from its head to the end of its response. */
class Transaction {
  readonly #request: IncomingMessage;
  readonly #response: ServerResponse;
  readonly #parts: EdgeParts;
  readonly #options: EdgeOptions;
  readonly #startedAt: number;
  readonly #client: string;
  readonly #tunnels: Set<Tunnel>;
  #route: Route | undefined;
  #key = '';
  #target: RequestTarget = { host: '', path: '/', isAbsolute: false };
  #forward = 'miss';
  #held = 0;
  /** What the client said behind its request to switch protocols. */
  #upgradeHead: Buffer | undefined;
  #job: JobHandle | undefined;
  #pump: BodyPump | undefined;
  #streaming: Streaming | undefined;
  #isRecorded = false;

  constructor(
    request: IncomingMessage,
    response: ServerResponse,
    parts: EdgeParts,
    options: EdgeOptions,
    tunnels: Set<Tunnel>,
  ) {
    this.#tunnels = tunnels;
    this.#request = request;
    this.#response = response;
    this.#parts = parts;
    this.#options = options;
    this.#startedAt = parts.clock();
    const address = request.socket.remoteAddress ?? '';
    this.#client = address.startsWith('::ffff:') ? address.slice(7) : address;
  }

  /** @param upgradeHead given when it asks to switch protocols: what came behind it */
  begin(upgradeHead?: Buffer): void {
    this.#upgradeHead = upgradeHead;
    const { method = 'GET', url = '/', rawHeaders, httpVersion } = this.#request;
    const target = requestTarget(url, method, httpVersion, rawHeaders);
    if (typeof target === 'string') return this.refuse(400, target);
    if (method === 'TRACE') return this.refuse(405, 'TRACE is not served', ['Allow', served]);
    if (target.path === '*') return this.refuse(204, '', ['Allow', served]);
    const route = this.#parts.routes.find(target.host, target.path);
    if (!route) return this.refuse(404, 'no route for this host and path');
    this.#route = route;
    this.#target = target;
    this.#key = `http://${target.host.toLowerCase()}${target.path}`;

    const lookup = lookupOf(method, rawHeaders);
    this.#forward = lookup.forward;
    const hit = upgradeHead ? undefined : this.#parts.cache.find(this.#key, rawHeaders, lookup, this.#parts.clock());
    if (hit) return this.#answerFromCache(hit);
    if (lookup.onlyIfCached) return this.refuse(504, 'not in the cache');

    if (!this.#parts.dispatcher.canTake()) return this.refuse(503, 'no broker', retryAfter(1));
    const { bodyLimit: bytes, bodyTimeoutMs: progressMs } = this.#options;
    const limits = { bytes, wholeBytes: repeatableBodyLimit, progressMs };
    gatherBody(this.#request, limits, this.#parts.budget, body => {
      if (body === undefined) return;
      if ('status' in body) return this.refuse(body.status, body.reason, body.status === 503 ? retryAfter(1) : []);
      const beginning = 'beginning' in body ? body.beginning : body;
      this.#held = beginning.length;
      this.#dispatch(route, beginning, body !== beginning);
    });
  }

  #answerFromCache({ response, ageSeconds, ttlSeconds }: Hit): void {
    const { method, rawHeaders } = this.#request;
    const own = ['Age', String(ageSeconds), 'Cache-Status', `warren; hit; ttl=${ttlSeconds}`];
    const ifNoneMatch = listOf(rawHeaders, 'if-none-match');
    const isNotModified = ifNoneMatch !== undefined && etagMatches(ifNoneMatch, response.etag);
    const status = isNotModified ? 304 : response.status;
    const fields = isNotModified ? withoutLength(response.fields) : response.fields;
    this.#response.writeHead(status, fields.concat(own));
    if (isNotModified || method === 'HEAD') this.#response.end();
    else endWith(this.#response, response.body, response.text);
    if (hasBody(this.#request)) this.#request.resume();
    this.#record(status, 'cache');
  }

  #dispatch(route: Route, body: Buffer, isLong: boolean): void {
    const { method = 'GET', rawHeaders, httpVersion, headers } = this.#request;
    const { path, host, isAbsolute } = this.#target;
    const peer = { address: this.#client, scheme: 'http' as const, isTrusted: this.#parts.isTrusted(this.#client) };
    const traceparent = headers.traceparent;
    const upgrade = this.#upgradeHead ? (headers.upgrade ?? '') : '';
    const streamed = isLong || upgrade !== '';
    const length = headers['content-length'];
    this.#response.on('close', this.#onClose);
    const job = this.#parts.dispatcher.dispatch(
      {
        service: route.service,
        method,
        target: path,
        fields: requestFields(isAbsolute ? withHost(rawHeaders, host) : rawHeaders, httpVersion, peer),
        body: streamed ? nothing : body,
        claim: streamed || !isRepeatable(method, headers['idempotency-key'] !== undefined && route.idempotencyKey),
        streamed,
        bodyLength: isLong && length !== undefined ? BigInt(length) : undefined,
        upgrade,
        deadlineMs: route.deadlineMs,
        traceparent: typeof traceparent === 'string' && isTraceparent(traceparent) ? traceparent : undefined,
      },
      {
        part: part => this.#part(route, part),
        credit: until => this.#pump?.credit(until),
        ended: ({ status, reason }) => {
          this.#pump?.stop();
          if (this.#streaming) return this.#streaming.breakOff(reason);
          const wait = reason === 'no broker' ? 1 : Math.max(1, Math.ceil(this.#options.queueTimeoutMs / 1000));
          this.refuse(status, reason, status === 503 ? retryAfter(wait) : []);
        },
      },
    );
    this.#job = job;
    if (!isLong) return;
    const { bodyLimit: limitBytes, bodyTimeoutMs: progressMs } = this.#options;
    this.#pump = new BodyPump(this.#request, body, {
      limitBytes,
      progressMs,
      send: (piece, last) => job.send(piece, last),
      refuse: ({ status, reason }) => {
        job.abandon();
        if (this.#streaming) this.#streaming.breakOff(reason);
        else this.refuse(status, reason);
      },
    });
  }

  /** The client has gone before the end of its response. */
  readonly #onClose = (): void => {
    this.#pump?.stop();
    this.#job?.abandon();
    this.#record(499, { reason: 'client went away' });
  };

  #part(route: Route, part: ReceivedPart): void {
    const { head } = part;
    if (this.#streaming) return this.#streaming.part(part);
    if (head && isInterim(part)) return this.#inform(head.status, head.fields);
    if (head?.status === 101 && this.#upgradeHead) return this.#switch(part, this.#upgradeHead);
    this.#answer(route, part);
  }

  /** Early hints (RFC 8297) are passed on; other informational responses are between the worker and the upstream. */
  #inform(status: number, received: readonly string[]): void {
    const links = listOf(received, 'link');
    if (status !== 103 || links === undefined || this.#response.headersSent || this.#request.httpVersion !== '1.1')
      return;
    try {
      this.#response.writeEarlyHints({ link: links.split(/,(?=\s*<)/).map(link => link.trim()) });
    } catch {
      // Malformed: it was only a hint.
    }
  }

  #switch(part: ReceivedPart, upgradeHead: Buffer): void {
    const job = this.#job;
    const { socket, headers } = this.#request;
    const { fields = [], upstream = '' } = part.head ?? {};
    if (!job) return;
    this.#response.off('close', this.#onClose);
    switchProtocols(this.#response, socket, fields);
    const tunnel = new Tunnel({
      socket,
      protocol: headers.upgrade?.trim().toLowerCase() ?? '',
      job,
      head: upgradeHead,
      stallMs: this.#options.bodyTimeoutMs,
      over: problem => {
        this.#tunnels.delete(tunnel);
        this.#record(101, problem === undefined ? { upstream } : { reason: problem });
      },
    });
    this.#tunnels.add(tunnel);
    this.#pump = tunnel.pump;
    this.#streaming = tunnel;
    tunnel.part({ ...part, head: undefined });
  }

  #answer(route: Route, part: ReceivedPart): void {
    const { head, failure, body, last } = part;
    if (!head) return this.refuse(errorStatus(failure?.status), failure?.reason ?? 'the worker sent no head');
    const { method = 'GET', rawHeaders } = this.#request;
    if (head.status < 200 || head.status > 999) {
      this.#job?.abandon();
      return this.refuse(502, `the upstream sent status ${head.status}`);
    }
    const bodiless = method === 'HEAD' || head.status === 304;
    const hasContent = !bodiless && head.status !== 204;
    const fields = responseFields(head.fields, bodiless);
    const storage = storageOf(
      { method, requestFields: rawHeaders, status: head.status, responseFields: head.fields },
      route.ttlSeconds,
      Date.now(),
    );
    // What streams is as long as the upstream said, or ends with its last chunk.
    const length = last ? body.length : lengthOf(head.fields);
    const framing = hasContent && length !== undefined ? ['Content-Length', String(length)] : [];
    const keeps = storage && (last || (length !== undefined && length <= storedLimit));
    const cacheStatus = `warren; fwd=${this.#forward}${keeps ? '; stored' : ''}`;
    // Answered before it was all said: the rest is not read.
    const isEarly = this.#pump !== undefined && !this.#pump.isOver;
    try {
      this.#response.writeHead(head.status, [
        ...fields,
        ...framing,
        'Cache-Status',
        cacheStatus,
        ...(isEarly ? ['Connection', 'close'] : []),
      ]);
    } catch {
      this.#job?.abandon();
      // Node refuses fields that would break the message apart.
      return this.refuse(502, 'the upstream sent a malformed header');
    }
    if (!safeMethods.has(method) && head.status < 400) this.#parts.cache.invalidate(this.#key);
    const store = (whole: Buffer): void => {
      if (!storage) return;
      // Its age counts from when it was asked for (RFC 9111 §4.2.3).
      this.#parts.cache.put(
        this.#key,
        rawHeaders,
        storage,
        storedResponse(head.status, fields, whole),
        this.#startedAt,
      );
    };
    if (last && !isEarly) {
      this.#response.off('close', this.#onClose);
      if (storage) store(Buffer.from(body));
      if (hasContent) endWith(this.#response, body);
      else this.#response.end();
      this.#record(head.status, { upstream: head.upstream });
      return;
    }
    if (!this.#job) return;
    this.#streaming = new StreamedResponse({
      request: this.#request,
      response: this.#response,
      job: this.#job,
      budget: this.#parts.budget,
      length: hasContent ? length : 0,
      stallMs: this.#options.bodyTimeoutMs,
      keep: storage && hasContent ? { limitBytes: storedLimit, store } : undefined,
      over: problem => {
        this.#pump?.stop();
        this.#response.off('close', this.#onClose);
        this.#record(head.status, problem === undefined ? { upstream: head.upstream } : { reason: problem });
      },
    });
    this.#streaming.part(part);
  }

  refuse(status: number, reason: string, fields: readonly string[] = []): void {
    this.#response.off('close', this.#onClose);
    if (this.#response.destroyed || this.#response.headersSent) return;
    sendRefusal(this.#request, this.#response, { status, reason, fields }, this.#forward);
    this.#record(status, { reason });
  }

  #record(status: number, by: RequestRecord['by']): void {
    if (this.#isRecorded) return;
    this.#isRecorded = true;
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

function isRepeatable(method: string, hasHonouredKey: boolean): boolean {
  return repeatableMethods.has(method) || hasHonouredKey;
}

/** What the upstream said of a body that is still coming; undefined when it said nothing that can be relied on. */
function lengthOf(fields: readonly string[]): number | undefined {
  const text = firstOf(fields, 'content-length');
  return text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : undefined;
}

/** What a worker may say went wrong; anything else is its own fault. */
function errorStatus(status: number | undefined): number {
  return status !== undefined && status >= 400 && status <= 599 ? status : 502;
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
