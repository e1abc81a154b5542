import { callRest } from '../lib/rest/call.ts';
import type { CallOptions } from '../lib/rpc/definition.ts';
import type { DirectoryClient } from './client.ts';
import { methodNames, methods } from './methods.ts';

/**
 * The directory over REST, with the methods of `directoryClient`. They reject with the `CallFailure` that the directory answered, or
 * DIRECTORY_UNREACHABLE (UNAVAILABLE), CALL_DEADLINE, CALL_ABANDONED (CANCELLED), DIRECTORY_ANSWER (what answers is no directory).
 * @param url without a slash at its end
 */
export function restDirectoryClient(url: string): DirectoryClient {
  const calls = methodNames.map(name => [
    name,
    (request: object, options?: CallOptions) => {
      const { token = '', ...fields } = request as { token?: string };
      return callRest({ service: 'directory', url, token }, methods[name], fields, options);
    },
  ]);
  return Object.fromEntries(calls) as DirectoryClient;
}
