import { isIPv6 } from 'node:net';
import type { Fields } from './fields.ts';

/** Where a request goes: `uri-host [":" port]`, and path with query. */
export interface RequestTarget {
  readonly host: string;
  /** In origin form, or `*`. */
  readonly path: string;
  /** The authority came in the target (absolute form), and goes before whatever the Host field says. */
  readonly isAbsolute: boolean;
}

/** What is wrong with target and Host. */
export interface TargetFault {
  readonly status: 400 | 421;
  readonly reason: string;
}

/**
 * RFC 3986 §3.2.2, §3.2.3: a registered name, IPv4 address or bracketed IPv6 address, and perhaps a port. No userinfo, and none of the
 * delimiters that a registered name may have on paper: no host has them, and a comma makes one of two.
 */
const authority = /^(?:(?:[\w.~-]|%[\da-f]{2})+|\[([\da-f:.]+)\])(?::(\d{0,5}))?$/i;
const absolute = /^(https?):\/\/([^/?#]*)([^#]*)$/i;
/** RFC 3986 §3.3, and what browsers leave as it is; no `"`, `<`, `>`, `\`, no `#`, no `%` without two digits, no `%00`. */
const goodPath = /^(?:[!$&-;=@-[\]^-~]|%(?!00)[\da-f]{2})*$/i;
/** The same, with `\` and a lone `%`, which browsers send. */
const goodQuery = /^[!$-;=?-~]*$/;

/** @param isSecure came over TLS, or through somebody who is trusted to have seen to that */
export function requestTarget(
  url: string,
  method: string,
  httpVersion: string,
  fields: Fields,
  isSecure: boolean,
): RequestTarget | TargetFault {
  const hosts: string[] = [];
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i] ?? '';
    if (name.length === 4 && name.toLowerCase() === 'host') hosts.push(fields[i + 1] ?? '');
  }
  // RFC 9112 §3.2: "A server MUST respond with a 400 (Bad Request)" to all three.
  if (hosts.length > 1) return bad('more than one Host');
  const [host] = hosts;
  if (host === undefined && httpVersion !== '1.0') return bad('no Host');
  if (host !== undefined && !isAuthority(host)) return bad('Host is not a host');
  if (url.startsWith('/')) return isGood(url) ? { host: host ?? '', path: url, isAbsolute: false } : badTarget;
  if (url === '*' && method === 'OPTIONS') return { host: host ?? '', path: '*', isAbsolute: false };
  const [, scheme, given, rest = ''] = absolute.exec(url) ?? [];
  if (scheme === undefined || given === undefined || !isAuthority(given))
    return bad('the target is neither a path nor an http URL');
  // RFC 9110 §7.4: "a request for an 'https' resource MUST be rejected unless it has been received over a connection that has been secured".
  if (!isSecure && scheme.toLowerCase() === 'https')
    return { status: 421, reason: 'an https target over a connection that is not secured' };
  // "the last proxy on the request chain MUST send a request-target of '*'" (RFC 9112 §3.2.4).
  if (rest === '' && method === 'OPTIONS') return { host: given, path: '*', isAbsolute: true };
  const path = rest.startsWith('/') ? rest : `/${rest}`;
  return isGood(path) ? { host: given, path, isAbsolute: true } : badTarget;
}

/** `uri-host [":" port]`, not empty (RFC 9110 §4.2.1). */
function isAuthority(text: string): boolean {
  const [match, literal, port] = authority.exec(text) ?? [];
  return match !== undefined && (literal === undefined || isIPv6(literal)) && Number(port ?? 0) <= 65_535;
}

function isGood(target: string): boolean {
  const query = target.indexOf('?');
  return query < 0
    ? goodPath.test(target)
    : goodPath.test(target.slice(0, query)) && goodQuery.test(target.slice(query));
}

const badTarget: TargetFault = { status: 400, reason: 'the target has characters that none may have' };

function bad(reason: string): TargetFault {
  return { status: 400, reason };
}

/** The fields with this Host in front, in the place of the one that came. */
export function withHost(fields: Fields, host: string): string[] {
  const kept = ['Host', host];
  for (let i = 0; i < fields.length; i += 2) {
    if (fields[i]?.toLowerCase() !== 'host') kept.push(fields[i] ?? '', fields[i + 1] ?? '');
  }
  return kept;
}

/** In lower case, as two URLs for the same host are compared (RFC 9110 §4.2.3). */
export function withoutDefaultPort(host: string, scheme: 'http' | 'https'): string {
  const lower = host.toLowerCase();
  const port = scheme === 'https' ? ':443' : ':80';
  if (lower.endsWith(port)) return lower.slice(0, -port.length);
  return lower.endsWith(':') ? lower.slice(0, -1) : lower;
}
