import type { Fields } from './fields.ts';

/** Where a request goes: `uri-host [":" port]`, and path with query. */
export interface RequestTarget {
  readonly host: string;
  /** In origin form, or `*`. */
  readonly path: string;
  /** The authority came in the target (absolute form), and goes before whatever the Host field says. */
  readonly isAbsolute: boolean;
}

/** RFC 3986 §3.2.2, §3.2.3: a registered name, IPv4 address or bracketed IPv6 address, and perhaps a port. No userinfo. */
const authority = /^(?:[\w.~!$&'()*+,;=%-]+|\[[0-9a-f:.]+\])(?::\d{0,5})?$/i;
const absolute = /^https?:\/\/([^/?#]*)([^#]*)$/i;

/**
 * Reads the target and the Host field as one (RFC 9112 §3.2, §3.3).
 * @returns or, as text, what is wrong with them: 400
 */
export function requestTarget(
  url: string,
  method: string,
  httpVersion: string,
  fields: Fields,
): RequestTarget | string {
  const hosts: string[] = [];
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i] ?? '';
    if (name.length === 4 && name.toLowerCase() === 'host') hosts.push(fields[i + 1] ?? '');
  }
  if (hosts.length > 1) return 'more than one Host';
  const [host] = hosts;
  if (host === undefined && httpVersion !== '1.0') return 'no Host';
  if (host !== undefined && host !== '' && !authority.test(host)) return 'Host is not a host';
  if (url.startsWith('/')) return { host: host ?? '', path: url, isAbsolute: false };
  if (url === '*' && method === 'OPTIONS') return { host: host ?? '', path: '*', isAbsolute: false };
  const [, given, rest = ''] = absolute.exec(url) ?? [];
  if (given === undefined || !authority.test(given)) return 'the target is neither a path nor an http URL';
  return { host: given, path: rest.startsWith('/') ? rest : `/${rest}`, isAbsolute: true };
}

/** The fields with this Host in front, in the place of the one that came. */
export function withHost(fields: Fields, host: string): string[] {
  const kept = ['Host', host];
  for (let i = 0; i < fields.length; i += 2) {
    if (fields[i]?.toLowerCase() !== 'host') kept.push(fields[i] ?? '', fields[i + 1] ?? '');
  }
  return kept;
}
