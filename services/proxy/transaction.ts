import type { IncomingMessage, ServerResponse } from 'node:http';
import { TLSSocket } from 'node:tls';
import type { Head } from '../../proto/gen/warren/proxy/v1/job.ts';
import type { Route } from '../config/config.ts';
import type { ReceivedPart } from '../lib/parts.ts';
import { isTraceparent } from '../lib/trace.ts';
import { BodyPump } from './body-pump.ts';
import { lookupOf, storageOf } from './cache-policy.ts';
import { type CacheStore, type Hit, shortBody, storedResponse } from './cache-store.ts';
import { cachedAnswer } from './cached-answer.ts';
import { ClientWriter } from './client-writer.ts';
import type { Dispatcher, JobHandle } from './dispatcher.ts';
import { type Fields, firstOf, requestFields, responseFields } from './fields.ts';
import { formatInterim, isInterim } from './interim.ts';
import { maxForwards } from './max-forwards.ts';
import { sendRefusal } from './refusal.ts';
import { type BodyBudget, gatherBody, hasBody } from './request-body.ts';
import type { RequestRecord } from './request-log.ts';
import { type RequestTarget, requestTarget, withHost, withoutDefaultPort } from './request-target.ts';
import type { RouteTable } from './routes.ts';
import { StreamedResponse, type Streaming } from './streamed-response.ts';
import { switchProtocols, Tunnel } from './tunnel.ts';
import type { Fault } from './wire/fault.ts';
import { guardOf } from './wire/guard.ts';

/** Bodies up to this size may travel in a job that is executed again when its worker dies. */
const repeatableBodyLimit = 256 * 1024;
/** Bytes of a streamed response that are kept to be stored. */
const storedLimit = 8 * 1024 * 1024;
const repeatableMethods = new Set(['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE']);
const nothing = Buffer.alloc(0);
export const served = 'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS';
/** RFC 9110 §9.2.1. */
export const safeMethods: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE']);

export interface TransactionOptions {
  readonly bodyLimit: number;
  readonly queueTimeoutMs: number;
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

/** One request, from its head to the end of its response. */
export class Transaction {
  readonly #request: IncomingMessage;
  readonly #response: ServerResponse;
  readonly #parts: EdgeParts;
  readonly #options: TransactionOptions;
  readonly #tunnels: Set<Tunnel>;
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
  /** What the client said behind its request to switch protocols. */
  #upgradeHead: Buffer | undefined;
  #job: JobHandle | undefined;
  #pump: BodyPump | undefined;
  /** How far the worker takes the body, as last told. */
  #credit = 0;
  #streaming: Streaming | undefined;
  #isRecorded = false;

  constructor(
    request: IncomingMessage,
    response: ServerResponse,
    parts: EdgeParts,
    options: TransactionOptions,
    tunnels: Set<Tunnel>,
  ) {
    this.#tunnels = tunnels;
    this.#request = request;
    this.#response = response;
    this.#parts = parts;
    this.#options = options;
    this.#startedAt = parts.clock();
    const address = request.socket.remoteAddress ?? '';
    this.#scheme = request.socket instanceof TLSSocket ? 'https' : 'http';
    this.#client = address.startsWith('::ffff:') ? address.slice(7) : address;
  }

  /** It asks to switch protocols. @param head what came behind it */
  beginSwitch(head: Buffer): void {
    this.#upgradeHead = head;
    this.begin();
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
    const isPlain = !askForBody && !this.#upgradeHead;
    const hit = !isPlain ? undefined : this.#parts.cache.find(this.#key, rawHeaders, lookup, this.#parts.clock());
    if (hit) return this.#answerFromCache(hit);
    if (lookup.onlyIfCached) return this.refuse(504, 'not in the cache');

    if (!this.#parts.dispatcher.canTake()) return this.refuse(503, 'no broker', retryAfter(1));
    const { bodyLimit: bytes, bodyTimeoutMs: progressMs } = this.#options;
    const limits = { bytes, wholeBytes: repeatableBodyLimit, progressMs };
    this.#stopGathering = gatherBody(this.#request, limits, this.#parts.budget, askForBody, body => {
      if (body === undefined) return;
      if ('status' in body) return this.refuse(body.status, body.reason, body.status === 503 ? retryAfter(1) : []);
      const beginning = 'beginning' in body ? body.beginning : body;
      this.#held = beginning.length;
      this.#dispatch(route, beginning, body !== beginning);
    });
  }

  #answerFromCache(hit: Hit): void {
    const { method = 'GET', rawHeaders } = this.#request;
    const { status, fields, isBodiless } = cachedAnswer(hit, method, rawHeaders);
    this.#response.writeHead(status, fields);
    if (isBodiless) this.#response.end();
    else this.#endWith(hit.response.body, hit.response.text);
    if (hasBody(this.#request)) this.#request.resume();
    guardOf(this.#request.socket)?.expectHit();
    this.#record(status, 'cache');
  }

  #dispatch(route: Route, body: Buffer, isLong: boolean): void {
    const { method = 'GET', httpVersion, headers } = this.#request;
    const { path, host, isAbsolute } = this.#target;
    const peer = { address: this.#client, scheme: this.#scheme, isTrusted: this.#parts.isTrusted(this.#client) };
    const upgrade = this.#upgradeHead ? (headers.upgrade ?? '') : '';
    const streamed = isLong || upgrade !== '';
    const length = headers['content-length'];
    this.#response.on('close', this.#onClose);
    const job = this.#parts.dispatcher.dispatch(
      {
        service: route.service,
        method,
        target: path,
        fields: requestFields(isAbsolute ? withHost(this.#fields, host) : this.#fields, httpVersion, peer),
        body: streamed ? nothing : body,
        claim: streamed || !isRepeatable(method, headers['idempotency-key'] !== undefined && route.idempotencyKey),
        streamed,
        bodyLength: isLong && length !== undefined ? BigInt(length) : undefined,
        upgrade,
        deadlineMs: route.deadlineMs,
        traceparent: this.#traceparent,
      },
      {
        part: part => this.#part(route, part),
        credit: until => {
          this.#credit = until;
          this.#pump?.credit(until);
          // It is the broker's by now.
          if (until >= this.#held) this.#giveBack();
        },
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

  #endWith(body: Buffer, text?: string): void {
    const response = this.#response;
    // A short body goes out with its head in one write, as text: a write of two pieces costs more than the copy.
    if (body.length <= shortBody) return void response.end(text ?? body.toString('latin1'), 'latin1');
    const writer = new ClientWriter(response, this.#request.socket, this.#options.bodyTimeoutMs);
    writer.write(body);
    writer.end(() => response.end());
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
    if (head && !part.last && isInterim(head.status)) return this.#interim(head);
    if (head?.status === 101 && this.#upgradeHead) return this.#switch(part, this.#upgradeHead);
    this.#answer(route, part);
  }

  /** Only while it is this response's turn, and to whoever can know of it (RFC 9110 §15.2: not to HTTP/1.0). */
  #interim({ status, fields }: Head): void {
    const { socket, headersSent } = this.#response;
    if (!socket || headersSent || this.#request.httpVersion === '1.0') return;
    const text = formatInterim(status, fields);
    if (text !== undefined) socket.write(text, 'latin1');
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
    tunnel.pump.credit(this.#credit);
    tunnel.part({ ...part, head: undefined });
  }

  #answer(route: Route, part: ReceivedPart): void {
    const { head, failure, body, last } = part;
    // Broken in its first part, it is no response, whatever there is of it.
    if (!head || (failure && last))
      return this.refuse(errorStatus(failure?.status), failure?.reason ?? 'the worker sent no head');
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
    const store =
      storage &&
      ((whole: Buffer): void => {
        const stored = storedResponse(head.status, fields, whole);
        // Its age counts from when it was asked for (RFC 9111 §4.2.3).
        this.#parts.cache.put(this.#key, rawHeaders, storage, stored, this.#startedAt);
      });
    if (last && !isEarly) {
      this.#response.off('close', this.#onClose);
      store?.(Buffer.from(body));
      if (hasContent) this.#endWith(body);
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
      keep: store && hasContent ? { limitBytes: storedLimit, store } : undefined,
      over: problem => {
        this.#pump?.stop();
        this.#response.off('close', this.#onClose);
        this.#record(head.status, problem === undefined ? { upstream: head.upstream } : { reason: problem });
      },
    });
    this.#streaming.part(part);
  }

  /** What is left of the body cannot be read. */
  breakOff({ status, reason }: Fault): void {
    this.#stopGathering?.();
    this.#pump?.stop();
    this.#job?.abandon();
    if (this.#streaming) this.#streaming.breakOff(reason);
    else if (this.#response.headersSent) this.#request.socket.destroy();
    else this.refuse(status, reason);
  }

  refuse(status: number, reason: string, fields: readonly string[] = []): void {
    this.#response.off('close', this.#onClose);
    this.#pump?.stop();
    if (this.#response.destroyed || this.#response.headersSent) return;
    sendRefusal(this.#request, this.#response, { status, reason, fields }, this.#forward);
    this.#record(status, { reason });
  }

  /** The client's trace context, if it is one. */
  get #traceparent(): string | undefined {
    const { traceparent } = this.#request.headers;
    return typeof traceparent === 'string' && isTraceparent(traceparent) ? traceparent : undefined;
  }

  #giveBack(): void {
    if (this.#held > 0) this.#parts.budget.give(this.#held);
    this.#held = 0;
  }

  #record(status: number, by: RequestRecord['by']): void {
    if (this.#isRecorded) return;
    this.#isRecorded = true;
    this.#giveBack();
    const { method = 'GET', url = '/' } = this.#request;
    this.#parts.onRequest({
      client: this.#client,
      method,
      target: url,
      status,
      seconds: (this.#parts.clock() - this.#startedAt) / 1000,
      service: this.#route?.service ?? '',
      by,
      traceparent: this.#traceparent,
    });
  }
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

export function retryAfter(seconds: number): string[] {
  return ['Retry-After', String(seconds)];
}
