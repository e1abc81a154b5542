import { STATUS_CODES } from 'node:http';
import express, { type ErrorRequestHandler, type Express, type RequestHandler, type Response } from 'express';
import { networkOf } from '../network-of.ts';
import { asCallFailure, CallFailure } from '../rpc/call-failure.ts';
import type { Caller } from '../rpc/definition.ts';
import { sendEvents } from './events.ts';
import { httpStatus } from './http-status.ts';
import type { RestMethod } from './method.ts';
import { formatOpenApi, type RestApi } from './openapi.ts';

const usualLimitBytes = 16 * 1024;
const deadlineMs = 10_000;

/** RFC 9457, with the stable `code` beside what the RFC names. */
function sendProblem(response: Response, status: number, code: string, detail: string): void {
  const problem = { type: 'about:blank', title: STATUS_CODES[status] ?? 'Error', status, detail, code };
  response.status(status).type('application/problem+json').send(JSON.stringify(problem));
}

/** What a request wants done; `token` is '' without one. */
export type RestCall<Name extends string> = (
  name: Name,
  request: { readonly [field: string]: unknown },
  token: string,
  caller: Caller,
) => Promise<object> | AsyncIterable<object>;

/**
 * A service over REST: `api.methods` says what there is. Answers are `no-store`; errors are problems with one line in
 * `detail`. `/livez` and `/openapi.json` are for everybody.
 * @param refuseAtLength what a token is answered before a body is read that may be larger than others; undefined: it is read
 */
export function createRestApp<Name extends string>(
  api: RestApi<Name>,
  call: RestCall<Name>,
  warn: (line: string) => void,
  refuseAtLength: (token: string) => CallFailure | undefined = () => undefined,
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
  const openApi = formatOpenApi(api);
  app.get('/openapi.json', (_request, response) => void response.json(openApi));
  app.all(['/livez', '/openapi.json'], allowOnly('GET, HEAD'));

  for (const name of Object.keys(api.methods) as Name[]) {
    const { verb, path, status, isStream, bodyLimitBytes = usualLimitBytes }: RestMethod = api.methods[name];
    const readers = verb === 'post' ? [mustBeJson, express.json({ limit: bodyLimitBytes })] : [];
    if (bodyLimitBytes > usualLimitBytes)
      readers.unshift((request, _response, next) => next(refuseAtLength(bearer(request.get('authorization')))));
    app[verb](path, ...readers, async (request, response) => {
      const given: unknown = verb === 'post' ? (request.body ?? {}) : { ...request.query, ...request.params };
      if (typeof given !== 'object' || given === null || Array.isArray(given))
        throw new CallFailure(
          'INVALID_ARGUMENT',
          `${api.service.toUpperCase()}_REQUEST`,
          'the body must be a JSON object',
        );
      const gone = new AbortController();
      response.once('close', () => gone.abort());
      const signal = isStream ? gone.signal : AbortSignal.any([gone.signal, AbortSignal.timeout(deadlineMs)]);
      const caller = { address: networkOf(request.socket.remoteAddress), signal };
      const answering = call(name, { ...given }, bearer(request.get('authorization')), caller);
      if (Symbol.asyncIterator in answering)
        return request.method === 'HEAD' ? response.end() : sendEvents(answering, response, warn);
      const answer = await answering;
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
