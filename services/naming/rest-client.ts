import type { NameChanged } from '../../proto/gen/warren/naming/v1/naming.ts';
import { Failure, messageOf } from '../lib/failure.ts';
import { httpStatus } from '../lib/rest/http-status.ts';
import { problem } from '../lib/rest/openapi.ts';
import { CallFailure, type CallStatus } from '../lib/rpc/call-failure.ts';
import { type CallOptions, patienceMs } from '../lib/rpc/definition.ts';
import type { NamingClient } from './client.ts';
import { type MethodName, methodNames, methods } from './methods.ts';

export interface RestNamingClient extends NamingClient {
  /** Ends with the signal, or when naming ends. @param name '' for all */
  watch(name: string, signal: AbortSignal): AsyncIterable<NameChanged>;
}

/**
 * Naming, called over REST. Methods reject as over the bus, and with NAMING_UNREACHABLE.
 * @param base `http://host:port`
 * @param token to write; reading needs none
 */
export function restNamingClient(base: string, token?: string): RestNamingClient {
  const headers: Record<string, string> = token === undefined ? {} : { authorization: `Bearer ${token}` };

  const ask = async (name: MethodName, request: object, signal: AbortSignal): Promise<Response> => {
    const { verb, path } = methods[name];
    const isGet = verb === 'get';
    const query = new URLSearchParams(
      Object.entries(request).map(([key, value]): [string, string] => [key, String(value)]),
    );
    const init = isGet
      ? { headers, signal }
      : {
          headers: { ...headers, 'content-type': 'application/json' },
          method: 'POST',
          body: JSON.stringify(request),
          signal,
        };
    const response = await fetch(`${base}${path}${isGet ? `?${query}` : ''}`, init).catch(error => {
      throw unreachable(base, error, signal);
    });
    if (response.ok) return response;
    const said = problem.safeParse(await response.json().catch(() => undefined));
    if (!said.success) throw new Failure('NAMING_UNREACHABLE', `${base} is no naming: it answers ${response.status}`);
    throw new CallFailure(statusOf(response.status, said.data.code), said.data.code, said.data.detail);
  };

  const unary = methodNames
    .filter(name => name !== 'watch')
    .map(name => [
      name,
      async (request: object, { deadlineMs = patienceMs, signal }: CallOptions = {}): Promise<unknown> => {
        const deadline = AbortSignal.timeout(deadlineMs);
        const response = await ask(
          name,
          request,
          signal === undefined ? deadline : AbortSignal.any([signal, deadline]),
        );
        return response.status === 204 ? {} : response.json();
      },
    ]);

  async function* watch(name: string, signal: AbortSignal): AsyncGenerator<NameChanged> {
    const response = await ask('watch', { name }, signal);
    let text = '';
    try {
      for await (const bytes of response.body?.pipeThrough(new TextDecoderStream()) ?? []) {
        text += bytes;
        const events = text.split('\n\n');
        text = events.pop() ?? '';
        for (const event of events) {
          const data = /^data: (.*)$/m.exec(event)?.[1];
          if (data === undefined) continue;
          const message: unknown = JSON.parse(data);
          if (event.startsWith('event: failure')) {
            const { code, detail } = message as { code: string; detail: string };
            throw new CallFailure('UNAVAILABLE', code, detail);
          }
          yield (message as { change: NameChanged }).change;
        }
      }
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof Failure) throw error;
      throw unreachable(base, error, signal);
    }
  }

  return { ...(Object.fromEntries(unary) as unknown as NamingClient), watch };
}

function unreachable(base: string, error: unknown, signal: AbortSignal): Failure {
  const cause = { cause: error };
  if (signal.aborted) return new Failure('NAMING_UNREACHABLE', `${base} has not answered in time`, cause);
  // "fetch failed" says nothing; what lies below does.
  const why = messageOf((error as Error).cause ?? error);
  return new Failure('NAMING_UNREACHABLE', `naming cannot be reached at ${base}: ${why}`, cause);
}

/** One HTTP status may be two of ours. */
function statusOf(status: number, code: string): CallStatus {
  if (status === 409 && code.startsWith('NAMING_')) return 'ABORTED';
  const found = Object.entries(httpStatus).find(([, number]) => number === status);
  return (found?.[0] ?? 'INTERNAL') as CallStatus;
}
