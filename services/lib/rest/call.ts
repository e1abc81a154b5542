import { messageOf } from '../failure.ts';
import { CallFailure, type CallStatus } from '../rpc/call-failure.ts';
import { type CallOptions, patienceMs } from '../rpc/definition.ts';
import { httpStatus } from './http-status.ts';
import type { RestMethod } from './method.ts';
import { problem } from './openapi.ts';

const longestAnswer = 16 * 1024 * 1024;

/** A service that is asked over REST. */
export interface RestPlace {
  /** `directory`: as people call it, and in the codes of failures. */
  readonly service: string;
  /** Without a slash at its end. */
  readonly url: string;
  /** '' for none. */
  readonly token: string;
}

/**
 * One call over REST, as the service's table of methods says. Rejects with the `CallFailure` that was answered, or
 * SERVICE_UNREACHABLE (UNAVAILABLE), CALL_DEADLINE, CALL_ABANDONED (CANCELLED), SERVICE_ANSWER (what answers is no such service).
 */
export async function callRest(
  { service, url: base, token }: RestPlace,
  method: RestMethod,
  request: object,
  { deadlineMs = patienceMs, signal }: CallOptions = {},
): Promise<unknown> {
  const { url, init } = restRequest({ service, url: base, token }, method, request);
  const code = (what: string): string => `${service.toUpperCase()}_${what}`;
  const timeout = AbortSignal.timeout(deadlineMs);
  let status: number;
  let text: string;
  let retryAfter: string | null;
  try {
    const response = await fetch(url, {
      ...init,
      redirect: 'error',
      signal: AbortSignal.any([timeout, ...(signal === undefined ? [] : [signal])]),
    });
    status = response.status;
    retryAfter = response.headers.get('retry-after');
    text = await textOf(response);
  } catch (cause) {
    if (signal?.aborted)
      throw new CallFailure('CANCELLED', 'CALL_ABANDONED', 'gave up before the answer came', { cause });
    if (timeout.aborted)
      throw new CallFailure('DEADLINE_EXCEEDED', 'CALL_DEADLINE', `no answer from ${base} within ${deadlineMs} ms`);
    const why = messageOf((cause as Error).cause ?? cause);
    throw new CallFailure('UNAVAILABLE', code('UNREACHABLE'), `the ${service} at ${base}: ${why}`, { cause });
  }
  try {
    if (status === method.status) return status === 204 ? {} : method.response.parse(JSON.parse(text));
    const said = problem.parse(JSON.parse(text));
    const retryAfterMs = retryAfter === null ? undefined : Number(retryAfter) * 1_000;
    throw new CallFailure(statusOf(status, method), said.code, said.detail, { retryAfterMs });
  } catch (error) {
    if (error instanceof CallFailure) throw error;
    const what = `what answers at ${base} is no ${service} of Warren (status ${status})`;
    throw new CallFailure('INTERNAL', code('ANSWER'), what, { cause: error });
  }
}

/** One HTTP status may be two of ours: then it is the one that the method may fail with. */
function statusOf(status: number, { failures }: RestMethod): CallStatus {
  const names = Object.keys(httpStatus) as CallStatus[];
  const known = names.filter(name => httpStatus[name] === status);
  return known.find(name => failures.includes(name)) ?? known[0] ?? 'INTERNAL';
}

/** What `fetch` is to be called with. */
export function restRequest(
  { url: base, token }: RestPlace,
  { verb, path }: RestMethod,
  fields: object,
): { url: string; init: RequestInit } {
  const authorization = token === '' ? {} : { authorization: `Bearer ${token}` };
  if (verb === 'get') {
    const inPath = path.replaceAll(/:(\w+)/g, (_, field: string) =>
      encodeURIComponent(String(Reflect.get(fields, field))),
    );
    const inQuery = Object.entries(fields)
      .filter(([field]) => !path.includes(`:${field}`))
      .map(([name, value]): [string, string] => [name, String(value)]);
    return { url: `${base}${inPath}?${new URLSearchParams(inQuery)}`, init: { headers: authorization } };
  }
  const headers = { 'content-type': 'application/json', ...authorization };
  return { url: `${base}${path}`, init: { method: 'POST', headers, body: JSON.stringify(fields) } };
}

async function textOf(response: Response): Promise<string> {
  let size = 0;
  const pieces: Uint8Array[] = [];
  for await (const piece of response.body ?? []) {
    size += piece.length;
    if (size > longestAnswer) throw new RangeError('the answer is too long');
    pieces.push(piece);
  }
  return Buffer.concat(pieces).toString();
}
