import { messageOf } from '../lib/failure.ts';
import { CallFailure, type CallStatus } from '../lib/rpc/call-failure.ts';
import { type CallOptions, patienceMs } from '../lib/rpc/definition.ts';
import { httpStatus } from '../lib/rpc/http-status.ts';
import type { DirectoryClient } from './client.ts';
import { type Method, methodNames, methods } from './methods.ts';
import { problem } from './openapi.ts';

const longestAnswer = 16 * 1024 * 1024;

/**
 * The directory over REST, with the methods of `directoryClient`. They reject with the `CallFailure` that the directory answered, or
 * DIRECTORY_UNREACHABLE (UNAVAILABLE), CALL_DEADLINE, CALL_ABANDONED (CANCELLED), DIRECTORY_ANSWER (what answers is no directory).
 * @param url without a slash at its end
 */
export function restDirectoryClient(url: string): DirectoryClient {
  const calls = methodNames.map(name => [
    name,
    (request: object, options?: CallOptions) => call(url, methods[name], request, options),
  ]);
  return Object.fromEntries(calls) as DirectoryClient;
}

async function call(
  base: string,
  method: Method,
  request: object,
  { deadlineMs = patienceMs, signal }: CallOptions = {},
): Promise<unknown> {
  const { token = '', ...fields } = request as { token?: string };
  const { url, init } = asked(base, method, fields, token);
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
    throw new CallFailure('UNAVAILABLE', 'DIRECTORY_UNREACHABLE', `the directory at ${base}: ${why}`, { cause });
  }
  try {
    if (status === method.status) return status === 204 ? {} : method.response.parse(JSON.parse(text));
    const { code, detail } = problem.parse(JSON.parse(text));
    const [known] = Object.entries(httpStatus).find(([, number]) => number === status) ?? ['INTERNAL'];
    const retryAfterMs = retryAfter === null ? undefined : Number(retryAfter) * 1_000;
    throw new CallFailure(known as CallStatus, code, detail, { retryAfterMs });
  } catch (error) {
    if (error instanceof CallFailure) throw error;
    const what = `what answers at ${base} is no directory of Warren (status ${status})`;
    throw new CallFailure('INTERNAL', 'DIRECTORY_ANSWER', what, { cause: error });
  }
}

function asked(
  base: string,
  { verb, path }: Method,
  fields: object,
  token: string,
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
