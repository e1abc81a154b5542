import { isIP } from 'node:net';

/**
 * The node's REST asks for no password, and a browser on the machine reaches it in the name of any page that it shows. So pages of
 * others are refused: those that say where they are from, and those that have their own name resolve to this machine (DNS rebinding: the
 * name in `Host` is then theirs; an address, or a name without a dot, is nobody's on the Internet).
 * @returns why not, for people
 */
export function whyNotFrom(headers: {
  readonly host?: string | undefined;
  readonly origin?: string | undefined;
  readonly 'sec-fetch-site'?: string | string[] | undefined;
}): string | undefined {
  const { host = '', origin, 'sec-fetch-site': site } = headers;
  const name = host.replace(/:\d{1,5}$/, '').replace(/^\[(.*)\]$/, '$1');
  if (isIP(name) === 0 && !/^[a-z0-9_-]+$/i.test(name))
    return 'ask by address, or by a name of your own network: the one in Host may be anybody’s';
  if (origin !== undefined && origin !== `http://${host}`) return 'pages of other origins may not ask';
  if (site !== undefined && site !== 'same-origin' && site !== 'none') return 'pages of other sites may not ask';
  return undefined;
}

/** Types that a page may have a browser send anywhere without asking first (https://fetch.spec.whatwg.org/#cors-safelisted-request-header). */
const simple = new Set(['application/x-www-form-urlencoded', 'multipart/form-data', 'text/plain']);

/** @param type as of Content-Type */
export function isSimpleType(type: string): boolean {
  return simple.has((type.split(';')[0] ?? '').trim().toLowerCase());
}
