import { isIP, isIPv6 } from 'node:net';
import type { Format } from './format.ts';

const hostname = /^(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*\.?$/i;

/** Only digits and dots, but no IPv4 address: a slip (`10.0.0.256`), not a name. */
const numeric = /^[\d.]+$/;

function isHost(text: string): boolean {
  return isIP(text) !== 0 || (hostname.test(text) && !numeric.test(text));
}

/** An address to listen on: an IP or a host name; `''` leaves it to the command. */
export const listenHost: Format<string> = {
  parse(text) {
    if (text !== '' && !isHost(text)) throw new Error('must be an IP address or a host name');
    return text;
  },
  format: String,
};

/** A DNS domain, in lower case and without the dot at its end. */
export const domain: Format<string> = {
  parse(text) {
    const name = text.toLowerCase().replace(/\.$/, '');
    if (!/^(?=.{1,240}$)(?:[a-z0-9-]{1,63}\.)*[a-z0-9-]{1,63}$/.test(name) || isIP(name) !== 0)
      throw new Error('must be a domain like example.com');
    return name;
  },
  format: String,
};

/** A broker: `amqp://user:password@host:5672/vhost`, or amqps. The text is kept as it is. */
export const brokerUrl: Format<string> = {
  parse(text) {
    const url = URL.parse(text);
    if (url === null || !/^amqps?:$/.test(url.protocol) || url.hostname === '') {
      throw new Error('must be an amqp:// or amqps:// URL (special characters in its password as %XX)');
    }
    return text;
  },
  format: String,
};

/** An HTTP API: `http://user:password@host:15672`, or https. The text is kept as it is, without a slash at its end. */
export const httpUrl: Format<string> = {
  parse(text) {
    const url = URL.parse(text);
    if (url === null || !/^https?:$/.test(url.protocol)) throw new Error('must be an http:// or https:// URL');
    return text.replace(/\/+$/, '');
  },
  format: String,
};

/** A backend: scheme, host and port and nothing else, since the path is the request's. Without a trailing slash. */
export const upstreamUrl: Format<string> = {
  parse(text) {
    const url = URL.parse(text);
    if (url === null || !/^https?:$/.test(url.protocol))
      throw new Error('must be http://host:port or https://host:port');
    if (url.username !== '' || url.password !== '') throw new Error('must not hold a user or a password');
    if (url.pathname !== '/' || /[?#]/.test(text)) throw new Error('must end after the port: no path, no query');
    return url.origin;
  },
  format: String,
};

/** An IP address or a network in CIDR notation (RFC 4632, RFC 4291): `10.0.0.0/8`, `::1`. Lower case. */
export const network: Format<string> = {
  parse(text) {
    const [address = '', bits, ...rest] = text.split('/');
    const size = { 0: -1, 4: 32, 6: 128 }[isIP(address)] ?? -1;
    const fits = bits === undefined ? size > 0 : /^\d{1,3}$/.test(bits) && Number(bits) <= size;
    if (!fits || rest.length > 0) throw new Error('must be an IP address or a network like 10.0.0.0/8');
    return text.toLowerCase();
  },
  format: String,
};

/**
 * A backend as the origin's settings file writes it (a bare address), as an upstream URL: host name, IPv4 or IPv6, with
 * the port behind it or `defaultPort`. IPv6 with a port needs brackets.
 * @throws Error "must be …"
 */
export function backendUrl(text: string, defaultPort: number): string {
  const match = isIPv6(text) ? null : /^(?:\[([^\]]+)\]|([^:[\]]+))(?::(\d{1,5}))?$/.exec(text);
  const host = isIPv6(text) ? text : (match?.[1] ?? match?.[2] ?? '');
  const bracketed = match?.[1] !== undefined;
  const port = match?.[3] === undefined ? defaultPort : Number(match[3]);
  if (!(bracketed ? isIPv6(host) : isHost(host)) || port < 1 || port > 65_535) {
    throw new Error('must be a host name, an IPv4 address or an [IPv6] address, with :port if it is not 8080');
  }
  return new URL(`http://${isIPv6(host) ? `[${host}]` : host}:${port}`).origin;
}

/** A valid URL with its password, if it has one, as `***`. */
export function maskUrl(url: string): string {
  return URL.parse(url)?.password ? maskPasswords(url) : url;
}

/** Whatever may be a password in a text of any kind, as `***`; hides too much rather than too little. */
export function maskPasswords(text: string): string {
  return text.replaceAll(/((?:\/\/|^|[\s",=])[^/@:\s",]*):(?!\/\/)[^\s"]*@/g, '$1:***@');
}
