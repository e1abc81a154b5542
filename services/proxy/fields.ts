/** Header fields as Node gives them raw: name and value in turn, in order of arrival, letter case kept. */
export type Fields = readonly string[];

/** Fields that mean something on one connection only (RFC 9110 §7.6.1), and framing, which each side makes anew. */
const hopByHop = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'proxy-authenticate',
  'proxy-authentication-info',
  'proxy-authorization',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'content-length',
  'expect',
  'http2-settings',
]);

/**
 * Fields that a `Connection` option cannot take away (RFC 9110 §7.6.1): without them the message means something else, is stored
 * when it must not be, or is done twice.
 */
const endToEnd = new Set([
  'host',
  'date',
  'content-type',
  'content-encoding',
  'content-range',
  'set-cookie',
  'authorization',
  'cookie',
  'via',
  'cache-control',
  'pragma',
  'expires',
  'age',
  'vary',
  'etag',
  'last-modified',
  'range',
  'if-range',
  'if-match',
  'if-none-match',
  'if-modified-since',
  'if-unmodified-since',
  'idempotency-key',
]);

/** What is said of the client to the upstream; a client's own word counts only from trusted addresses. */
const forwarding = new Set(['x-forwarded-for', 'x-forwarded-proto', 'x-forwarded-host', 'forwarded']);

/** Further names under which upstreams look for who the client is: not for the client to say. */
const claims = new Set(['x-real-ip', 'x-client-ip', 'x-cluster-client-ip', 'true-client-ip']);

function isClaim(lower: string): boolean {
  return claims.has(lower) || lower.startsWith('x-forwarded-');
}

/**
 * `Content_Length` and the like: no field that we know, but the same one to whoever takes the name for a variable's, as CGI does (RFC
 * 3875 §4.1.18).
 */
function isDisguised(lower: string): boolean {
  if (!lower.includes('_')) return false;
  const name = lower.replaceAll('_', '-');
  return hopByHop.has(name) || forwarding.has(name) || endToEnd.has(name) || isClaim(name);
}

/** The first value, or undefined. @param name lower case */
export function firstOf(fields: Fields, name: string): string | undefined {
  for (let i = 0; i < fields.length; i += 2) if (isName(fields[i], name)) return fields[i + 1];
  return undefined;
}

/** All lines of a list field as one (RFC 9110 §5.3), or undefined. @param name lower case */
export function listOf(fields: Fields, name: string): string | undefined {
  let joined: string | undefined;
  for (let i = 0; i < fields.length; i += 2) {
    if (isName(fields[i], name)) joined = joined === undefined ? (fields[i + 1] ?? '') : `${joined}, ${fields[i + 1]}`;
  }
  return joined;
}

function isName(field: string | undefined, name: string): boolean {
  return field !== undefined && field.length === name.length && (field === name || field.toLowerCase() === name);
}

export interface Peer {
  /** The client's address as the socket has it. */
  readonly address: string;
  readonly scheme: 'http' | 'https';
  /** Its X-Forwarded-* and Forwarded are believed. */
  readonly isTrusted: boolean;
}

/**
 * The request's fields as the upstream gets them: hop-by-hop ones dropped, `Via` added (RFC 9110 §7.6.3), the client named
 * in `X-Forwarded-*` and `Forwarded` (RFC 7239).
 */
export function requestFields(received: Fields, httpVersion: string, peer: Peer): string[] {
  const dropped = connectionOptions(received);
  const fields: string[] = [];
  let host = '';
  const heard: Record<string, string> = {};
  for (let i = 0; i < received.length; i += 2) {
    const name = received[i] ?? '';
    const value = received[i + 1] ?? '';
    const lower = name.toLowerCase();
    if (hopByHop.has(lower) || dropped?.has(lower) || isDisguised(lower)) continue;
    if (forwarding.has(lower)) {
      if (peer.isTrusted) heard[lower] = heard[lower] === undefined ? value : `${heard[lower]}, ${value}`;
      continue;
    }
    if (!peer.isTrusted && isClaim(lower)) continue;
    if (lower === 'host') host = value;
    fields.push(name, value);
  }
  // Without an address: the socket has gone meanwhile (RFC 7239 §6.2).
  const address = (peer.address.startsWith('::ffff:') ? peer.address.slice(7) : peer.address) || 'unknown';
  const node = address.includes(':') ? `"[${address}]"` : address;
  const said = `for=${node};host=${quoted(host)};proto=${peer.scheme}`;
  fields.push(
    'X-Forwarded-For',
    heard['x-forwarded-for'] === undefined ? address : `${heard['x-forwarded-for']}, ${address}`,
    'X-Forwarded-Proto',
    heard['x-forwarded-proto'] ?? peer.scheme,
    'X-Forwarded-Host',
    heard['x-forwarded-host'] ?? host,
    'Forwarded',
    heard.forwarded === undefined ? said : `${heard.forwarded}, ${said}`,
    'Via',
    `${httpVersion} warren`,
  );
  return fields;
}

/**
 * A response's fields as the client gets them, without `Cache-Status`.
 * @param keepLength for responses without a body whose `Content-Length` speaks of another (HEAD, 304)
 */
export function responseFields(received: Fields, keepLength: boolean): string[] {
  const dropped = connectionOptions(received);
  const fields: string[] = [];
  for (let i = 0; i < received.length; i += 2) {
    const name = received[i] ?? '';
    const lower = name.toLowerCase();
    if (dropped?.has(lower)) continue;
    if (hopByHop.has(lower) && !(keepLength && lower === 'content-length')) continue;
    fields.push(name, received[i + 1] ?? '');
  }
  fields.push('Via', '1.1 warren');
  return fields;
}

/** Whether the upstream sees another value of this field than the client sent. @param name lower case */
export function isRewritten(received: Fields, name: string): boolean {
  return (
    forwarding.has(name) ||
    isClaim(name) ||
    isDisguised(name) ||
    name === 'via' ||
    name === 'max-forwards' ||
    (connectionOptions(received)?.has(name) ?? false)
  );
}

function connectionOptions(fields: Fields): Set<string> | undefined {
  const value = listOf(fields, 'connection');
  if (value === undefined || value === 'keep-alive' || value === 'close') return undefined;
  const options = value.split(',').map(option => option.trim().toLowerCase());
  return new Set(options.filter(option => option !== '' && !endToEnd.has(option)));
}

/** A parameter value of `Forwarded`: a token, or a quoted string (RFC 7239 §4). */
function quoted(text: string): string {
  return /^[\w.-]+$/.test(text) ? text : `"${text.replaceAll(/["\\]/g, '\\$&')}"`;
}
