import { type MethodName, methods } from '../../services/naming/methods.ts';
import { ask, type RestAnswer } from '../directory/rest-client.ts';

/** A method of naming, over REST, as `methods.ts` says. */
export function askMethod(base: string, name: MethodName, request: object, token?: string): Promise<RestAnswer> {
  const { verb, path } = methods[name];
  const authorization = token === undefined ? {} : { authorization: `Bearer ${token}` };
  if (verb === 'get')
    return ask(`${base}${path}?${new URLSearchParams(request as Record<string, string>)}`, { headers: authorization });
  return ask(`${base}${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...authorization },
    body: JSON.stringify(request),
  });
}
