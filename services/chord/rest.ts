import { createServer, type Server, STATUS_CODES } from 'node:http';
import express, { type ErrorRequestHandler, type Express, type RequestHandler, type Response } from 'express';
import type { Registry } from 'prom-client';
import { Failure } from '../lib/failure.ts';
import { listen } from '../lib/listen.ts';
import { httpStatus } from '../lib/rest/http-status.ts';
import { asCallFailure, CallFailure } from '../lib/rpc/call-failure.ts';
import type { Caller } from '../lib/rpc/definition.ts';
import { maxLifeMs, maxValue } from './bounds.ts';
import type { OwnerHandlers } from './chord-service.ts';
import { isSimpleType, whyNotFrom } from './rest-guard.ts';

export interface RestNeeds {
  readonly owner: OwnerHandlers;
  readonly registry: Registry;
  readonly warn: (line: string) => void;
}

const connectionsAtOnce = 4_096;
/** Connections that come at the same moment: a thousand, and room. */
const backlog = 2_048;
const requestMs = 30_000;

/** Where its meaning is finer than that of the call's status. */
const ownStatus: Readonly<Record<string, number>> = { CHORD_TOO_LARGE: 413, CHORD_REFUSED: 507 };

/** RFC 9457, with the stable `code` beside what the RFC names. */
function sendProblem(response: Response, status: number, code: string, detail: string): void {
  const problem = { type: 'about:blank', title: STATUS_CODES[status] ?? 'Error', status, detail, code };
  response.status(status).type('application/problem+json').send(JSON.stringify(problem));
}

/**
 * The node over REST: `GET /ring`, `GET|PUT|DELETE /keys/:key` (the value's bytes; `?life_ms=` on PUT), `GET /lookup/:key`,
 * `GET /metrics`, `GET /livez`.
 */
export function createRestApp({ owner, registry, warn }: RestNeeds): Express {
  const app = express();
  app.disable('x-powered-by');
  app.set('etag', false);
  app.set('query parser', 'simple');
  app.use((request, response, next) => {
    response.set({ 'Cache-Control': 'no-store', 'X-Content-Type-Options': 'nosniff' });
    const why = whyNotFrom(request.headers);
    if (why !== undefined) return sendProblem(response, 403, 'HTTP_ORIGIN', why);
    next();
  });

  app.get('/livez', (_request, response) => void response.type('text').send('alive\n'));
  app.get('/ring', async (_request, response) => void response.json(await owner.show({}, caller())));
  app.get('/lookup/:key', async (request, response) => {
    response.json(await owner.lookup({ key: request.params.key }, caller()));
  });
  app.get('/metrics', async (_request, response) => {
    response.type(registry.contentType).send(await registry.metrics());
  });
  app.get('/keys/:key', async (request, response) => {
    const { value, writer, counter } = await owner.get({ key: request.params.key }, caller());
    response.set({ ETag: `"${counter}-${writer}"`, 'Warren-Writer': writer, 'Warren-Counter': String(counter) });
    response.type('application/octet-stream').send(value);
  });
  const octets = [notSimple, express.raw({ type: () => true, limit: maxValue })];
  app.put('/keys/:key', ...octets, async (request, response) => {
    const body: unknown = request.body;
    const value = Buffer.isBuffer(body) ? body : Buffer.alloc(0);
    const { place } = await owner.put({ key: key(request.params.key), value, lifeMs: lifeOf(request.query) }, caller());
    response.json({ place });
  });
  app.delete('/keys/:key', async (request, response) => {
    await owner.remove({ key: request.params.key }, caller());
    response.status(204).end();
  });
  app.all('/keys/:key', allowOnly('GET, HEAD, PUT, DELETE'));
  app.all(['/livez', '/ring', '/lookup/:key', '/metrics'], allowOnly('GET, HEAD'));

  app.use((_request, response) =>
    sendProblem(response, 404, 'HTTP_PATH', 'there are /ring, /keys/KEY, /lookup/KEY and /metrics'),
  );
  const onThrown: ErrorRequestHandler = (thrown, _request, response, next) => {
    if (response.headersSent) return next(thrown);
    const unread = unreadable(thrown);
    if (unread) return sendProblem(response, unread.status, 'HTTP_BODY', unread.detail);
    const { status, code, message } = asCallFailure(thrown, warn);
    sendProblem(response, ownStatus[code] ?? httpStatus[status], code, message);
  };
  app.use(onThrown);
  return app;
}

function key(given: string | string[] | undefined): string {
  return typeof given === 'string' ? given : '';
}

function caller(): Caller {
  return { address: 'rest', signal: AbortSignal.timeout(requestMs) };
}

function lifeOf({ life_ms: text = '0' }: Record<string, unknown>): number {
  const life = typeof text === 'string' && /^\d{1,12}$/.test(text) ? Number(text) : Number.NaN;
  if (life <= maxLifeMs) return life;
  throw new CallFailure('INVALID_ARGUMENT', 'CHORD_LIFE', `life_ms must be a whole number up to ${maxLifeMs}`);
}

/** Neither forms nor what scripts may send without a question; curl's `-d` says that it is a form. */
const notSimple: RequestHandler = (request, response, next) => {
  if (!isSimpleType(request.get('content-type') ?? '')) return next();
  sendProblem(response, 415, 'HTTP_BODY', 'send application/octet-stream');
};

function allowOnly(verbs: string): RequestHandler {
  return (_request, response) => {
    response.set('Allow', verbs);
    sendProblem(response, 405, 'HTTP_METHOD', `only ${verbs} is possible here`);
  };
}

/** What body-parser and the router throw has a `status` of 4xx (https://expressjs.com/en/resources/middleware/body-parser.html#errors). */
function unreadable(thrown: unknown): { status: number; detail: string } | undefined {
  if (thrown instanceof CallFailure || !(thrown instanceof Error)) return undefined;
  const status: unknown = Reflect.get(thrown, 'status');
  if (typeof status !== 'number' || status < 400 || status > 499) return undefined;
  return { status, detail: status === 413 ? `a value has ${maxValue} bytes at most` : 'the request cannot be read' };
}

export interface Rest {
  readonly port: number;
  close(): Promise<void>;
}

/** @throws Failure LISTEN, PORT_TAKEN (all of them), PORT_DENIED */
export async function startRest(
  needs: RestNeeds,
  { host, ports }: { host: string; ports: readonly number[] },
): Promise<Rest> {
  const server = createServer({ headersTimeout: 10_000, requestTimeout: requestMs }, createRestApp(needs));
  server.maxConnections = connectionsAtOnce;
  const port = await listenOnOne(server, host, ports);
  return {
    port,
    async close() {
      const closed = new Promise(resolve => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  };
}

async function listenOnOne(server: Server, host: string, ports: readonly number[]): Promise<number> {
  for (const [at, port] of ports.entries()) {
    try {
      return await listen(server, { host, port, backlog });
    } catch (error) {
      const isTaken = error instanceof Failure && error.code === 'PORT_TAKEN';
      if (!isTaken || at === ports.length - 1) throw error;
    }
  }
  throw new RangeError('no port is given');
}
