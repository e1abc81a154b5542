import type { NameChanged } from '../../proto/gen/warren/naming/v1/naming.ts';
import { Failure, messageOf } from '../lib/failure.ts';
import { callRest, restRequest } from '../lib/rest/call.ts';
import { problem } from '../lib/rest/openapi.ts';
import { CallFailure } from '../lib/rpc/call-failure.ts';
import type { CallOptions } from '../lib/rpc/definition.ts';
import type { NamingClient } from './client.ts';
import { methodNames, methods } from './methods.ts';

/** In characters: 256 latents with 8 addresses each, and more. */
const longestEvent = 4 * 1024 * 1024;

export interface RestNamingClient extends NamingClient {
  /** Ends with the signal, or when naming ends. @param name '' for all */
  watch(name: string, signal: AbortSignal): AsyncIterable<NameChanged>;
}

/**
 * Naming, called over REST. Methods reject as over the bus, and with NAMING_UNREACHABLE, NAMING_ANSWER.
 * @param url `http://host:port`
 * @param token to write; reading needs none
 */
export function restNamingClient(url: string, token = ''): RestNamingClient {
  const place = { service: 'naming', url, token };
  const unary = methodNames
    .filter(name => name !== 'watch')
    .map(name => [name, (request: object, options?: CallOptions) => callRest(place, methods[name], request, options)]);

  async function* watch(name: string, signal: AbortSignal): AsyncGenerator<NameChanged> {
    const { url: at, init } = restRequest(place, methods.watch, { name });
    try {
      const response = await fetch(at, { ...init, redirect: 'error', signal });
      if (!response.ok) {
        const { code, detail } = problem.parse(await response.json());
        throw new CallFailure('UNAVAILABLE', code, detail);
      }
      let text = '';
      for await (const bytes of response.body?.pipeThrough(new TextDecoderStream()) ?? []) {
        text += bytes;
        const events = text.split('\n\n');
        text = events.pop() ?? '';
        if (text.length > longestEvent) throw new RangeError('an event is too long');
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
      // "fetch failed" says nothing; what lies below does.
      const why = messageOf((error as Error).cause ?? error);
      throw new CallFailure('UNAVAILABLE', 'NAMING_UNREACHABLE', `the naming at ${url}: ${why}`, { cause: error });
    }
  }

  return { ...(Object.fromEntries(unary) as unknown as NamingClient), watch };
}
