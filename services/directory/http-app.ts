import { STATUS_CODES } from 'node:http';
import { isIPv6 } from 'node:net';
import express, { type ErrorRequestHandler, type Express, type RequestHandler, type Response } from 'express';
import type { DirectoryServiceDefinition } from '../../proto/gen/warren/directory/v1/directory.ts';
import { asCallFailure, CallFailure } from '../lib/rpc/call-failure.ts';
import type { Caller, Handlers } from '../lib/rpc/definition.ts';
import { httpStatus } from '../lib/rpc/http-status.ts';
import { type Method, methodNames, methods } from './methods.ts';
import { formatOpenApi } from './openapi.ts';

const usualLimitBytes = 16 * 1024;
const deadlineMs = 10_000;

/** RFC 9457, with the stable `code` beside what the RFC names. */
function sendProblem(response: Response, status: number, code: string, detail: string): void {
  const problem = { type: 'about:blank', title: STATUS_CODES[status] ?? 'Error', status, detail, code };
  response.status(status).type('application/problem+json').send(JSON.stringify(problem));
}

/**
 * The directory over REST: `methods.ts` says what there is. Answers are `no-store`; errors are problems with one line in
 * `detail`. `/livez` and `/openapi.json` are for everybody.
 * @param isSession whether a token is anybody's: who has none is not listened to at length
 */
export function createHttpApp(
  handlers: Handlers<typeof DirectoryServiceDefinition>,
  version: string,
  warn: (line: string) => void,
  isSession: (token: string) => boolean,
): Express {
  const app = express();
  app.disable('x-powered-by');
  app.set('etag', false);
  app.set('query parser', 'simple');
  app.use((_request, response, next) => {
    response.set({ 'Cache-Control': 'no-store', 'X-Content-Type-Options': 'nosniff' });
    next();
  });

  app.get('/livez', (_request, response) => void response.type('text').send('alive\n'));
  const openApi = formatOpenApi(version);
  app.get('/openapi.json', (_request, response) => void response.json(openApi));
  app.all(['/livez', '/openapi.json'], allowOnly('GET, HEAD'));

  for (const name of methodNames) {
    const { verb, path, status, needsToken, bodyLimitBytes = usualLimitBytes }: Method = methods[name];
    const handle = handlers[name] as (request: object, caller: Caller) => Promise<object>;
    const readers = verb === 'post' ? [mustBeJson, express.json({ limit: bodyLimitBytes })] : [];
    if (bodyLimitBytes > usualLimitBytes)
      readers.unshift((request, response, next) => {
        if (isSession(bearer(request.get('authorization')))) return next();
        response.set('WWW-Authenticate', 'Bearer');
        sendProblem(response, 401, 'DIRECTORY_TOKEN', 'log in first, and give the token');
      });
    app[verb](path, ...readers, async (request, response) => {
      const given: unknown = verb === 'post' ? (request.body ?? {}) : { ...request.query, ...request.params };
      if (typeof given !== 'object' || given === null || Array.isArray(given))
        throw new CallFailure('INVALID_ARGUMENT', 'DIRECTORY_REQUEST', 'the body must be a JSON object');
      const gone = new AbortController();
      response.once('close', () => gone.abort());
      const signal = AbortSignal.any([gone.signal, AbortSignal.timeout(deadlineMs)]);
      const asked = needsToken ? { ...given, token: bearer(request.get('authorization')) } : given;
      const answer = await handle(asked, { address: addressOf(request.socket.remoteAddress), signal });
      if (status === 204) response.status(status).end();
      else response.status(status).json(answer);
    });
    app.all(path, allowOnly(verb === 'get' ? 'GET, HEAD' : 'POST'));
  }

  app.use((_request, response) => sendProblem(response, 404, 'HTTP_PATH', 'there is nothing here (see /openapi.json)'));
  const onThrown: ErrorRequestHandler = (thrown, _request, response, next) => {
    if (response.headersSent) return next(thrown);
    const unread = unreadable(thrown);
    if (unread) return sendProblem(response, unread.status, 'HTTP_BODY', unread.detail);
    const { status, code, message, retryAfterMs } = asCallFailure(thrown, warn);
    if (status === 'UNAUTHENTICATED') response.set('WWW-Authenticate', 'Bearer');
    if (retryAfterMs !== undefined) response.set('Retry-After', String(Math.ceil(retryAfterMs / 1000)));
    sendProblem(response, httpStatus[status], code, message);
  };
  app.use(onThrown);
  return app;
}

function allowOnly(verbs: string): RequestHandler {
  return (_request, response) => {
    response.set('Allow', verbs);
    sendProblem(response, 405, 'HTTP_METHOD', `only ${verbs} is possible here`);
  };
}

/** A page of another site can have a browser send forms and plain text, but no JSON, without asking us first. */
const mustBeJson: RequestHandler = (request, response, next) => {
  // Without a body there is no type to know: `is` says null, and false where Content-Length says so (0).
  const isEmpty = request.get('content-length') === '0' && request.get('transfer-encoding') === undefined;
  if (isEmpty || request.is('application/json') !== false) return next();
  sendProblem(response, 415, 'HTTP_BODY', 'send application/json');
};

/** What body-parser throws has a `status` of 4xx (https://expressjs.com/en/resources/middleware/body-parser.html#errors). */
function unreadable(thrown: unknown): { status: number; detail: string } | undefined {
  if (thrown instanceof CallFailure || !(thrown instanceof Error)) return undefined;
  const status: unknown = Reflect.get(thrown, 'status');
  if (typeof status !== 'number' || status < 400 || status > 499) return undefined;
  if (status === 413) return { status, detail: `the body is over ${Number(Reflect.get(thrown, 'limit')) / 1024} KiB` };
  const isJson = Reflect.get(thrown, 'type') === 'entity.parse.failed';
  return { status, detail: isJson ? 'the body is not valid JSON' : 'the request cannot be read' };
}

/** RFC 6750 §2.1. */
function bearer(field: string | undefined): string {
  return /^Bearer +([\w.~+/-]{1,512}=*)$/i.exec(field ?? '')?.[1] ?? '';
}

/** Whom limits count: of IPv6 the network (/64), of which one host has all addresses. */
function addressOf(remote = ''): string {
  const plain = remote.replace(/^::ffff:(?=\d+\.)/, '');
  if (!isIPv6(plain)) return plain;
  const [head = '', tail = ''] = plain.split('::');
  const groups = head.split(':').filter(group => group !== '');
  const behind = tail.split(':').filter(group => group !== '').length;
  while (plain.includes('::') && groups.length + behind < 8) groups.push('0');
  return `${groups.slice(0, 4).join(':')}::/64`;
}
