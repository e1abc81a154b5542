import { STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import { lookupOf } from './cache-policy.ts';
import type { CacheStore } from './cache-store.ts';
import { cachedAnswer } from './cached-answer.ts';
import type { RequestRecord } from './request-log.ts';
import { requestTarget, withoutDefaultPort } from './request-target.ts';
import type { RouteTable } from './routes.ts';

export interface QuickParts {
  readonly routes: RouteTable;
  readonly cache: CacheStore;
  readonly scheme: 'http' | 'https';
  /** What the client is told of how long its connection may idle. */
  readonly keepAliveSeconds: number;
  /** Monotonic milliseconds. */
  readonly clock: () => number;
  readonly onRequest: (record: RequestRecord) => void;
}

const GET = 0x47;
const HEAD = 0x48;
const requestLine = /^(GET|HEAD) (\/\S*) HTTP\/1\.1$/;

/**
 * Answers a request from the cache without Node's parser, its request and its response, which are three quarters of what such an answer
 * costs. What it sends is what the long way sends (test/proxy/quick-answer.test.ts); whatever is not plain goes the long way.
 * @param octets a whole head that has been checked, of a request without a body whose connection goes on
 * @returns whether it has answered
 */
export function answerQuickly(octets: Buffer, socket: Socket, parts: QuickParts): boolean {
  const first = octets[0];
  if ((first !== GET && first !== HEAD) || socket.writableLength > 0) return false;
  const startedAt = parts.clock();
  const [start = '', ...lines] = octets.toString('latin1', 0, octets.length - 4).split('\r\n');
  const [, method = '', url = ''] = requestLine.exec(start) ?? [];
  if (method === '') return false;
  const fields: string[] = [];
  for (const line of lines) {
    const colon = line.indexOf(':');
    const name = line.slice(0, colon);
    switch (name.length) {
      case 6:
      case 11:
        // What is to be decided, or told, beyond the cache.
        if (/^(?:expect|traceparent)$/i.test(name)) return false;
    }
    fields.push(name, line.slice(colon + 1).replace(/^[\t ]+|[\t ]+$/g, ''));
  }
  const target = requestTarget(url, method, '1.1', fields, true);
  if ('reason' in target) return false;
  const route = parts.routes.find(target.host, target.path);
  const lookup = lookupOf(method, fields);
  if (!route || lookup.use === 'none') return false;
  const key = `${parts.scheme}://${withoutDefaultPort(target.host, parts.scheme)}${target.path}`;
  const hit = parts.cache.find(key, fields, lookup, startedAt);
  if (hit?.response.text === undefined) {
    // The long way looks, and counts, again.
    if (hit) parts.cache.hits--;
    else parts.cache.misses--;
    return false;
  }
  const { status, fields: sent, isBodiless } = cachedAnswer(hit, method, fields);
  let text = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\n`;
  let hasDate = false;
  for (let i = 0; i < sent.length; i += 2) {
    const name = sent[i] ?? '';
    hasDate ||= name.length === 4 && name.toLowerCase() === 'date';
    text += `${name}: ${sent[i + 1]}\r\n`;
  }
  if (!hasDate) text += `Date: ${httpDate()}\r\n`;
  text += `Connection: keep-alive\r\nKeep-Alive: timeout=${parts.keepAliveSeconds}\r\n\r\n`;
  socket.write(isBodiless ? text : text + hit.response.text, 'latin1');
  const address = socket.remoteAddress ?? '';
  parts.onRequest({
    client: address.startsWith('::ffff:') ? address.slice(7) : address,
    method,
    target: url,
    status,
    seconds: (parts.clock() - startedAt) / 1000,
    service: route.service,
    by: 'cache',
    traceparent: undefined,
  });
  return true;
}

let second = 0;
let date = '';

/** RFC 9110 §6.6.1, made once a second. */
function httpDate(): string {
  const now = Math.floor(Date.now() / 1000);
  if (now !== second) {
    second = now;
    date = new Date(now * 1000).toUTCString();
  }
  return date;
}
