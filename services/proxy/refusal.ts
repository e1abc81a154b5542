import { type IncomingMessage, type ServerResponse, STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import { destroyLater } from '../lib/destroy-later.ts';
import { hasBody } from './request-body.ts';
import { guardOf } from './wire/guard.ts';

/** What the proxy itself says instead of an upstream. */
export interface Refusal {
  readonly status: number;
  /** One line: what is wrong. */
  readonly reason: string;
  /** Further fields. */
  readonly fields?: readonly string[];
}

/** How long a client may go on sending what nobody will read. */
const lingerMs = 1_000;

/** @param forward why the cache did not answer (RFC 9211 §2.2) */
export function sendRefusal(
  request: IncomingMessage,
  response: ServerResponse,
  { status, reason, fields = [] }: Refusal,
  forward: string,
): void {
  const text = status === 204 ? '' : `${status} ${STATUS_CODES[status] ?? ''}: ${reason}\n`;
  const isUnread = hasBody(request) && !request.complete;
  const content =
    status === 204
      ? []
      : ['Content-Type', 'text/plain; charset=utf-8', 'Content-Length', String(Buffer.byteLength(text))];
  // Whoever sends one malformed request may mean something else by what follows it.
  const isLast = isUnread || status === 400;
  // Answered before the body had come: what is still on its way is not the next request.
  if (isLast) guardOf(request.socket)?.leave();
  response.sendDate = true;
  // The name explicitly: an earlier attempt to send another head may have left its own.
  response.writeHead(status, STATUS_CODES[status] ?? '', [
    ...content,
    'Cache-Control',
    'no-store',
    'Cache-Status',
    `warren; fwd=${forward}`,
    'Via',
    '1.1 warren',
    ...(isLast ? ['Connection', 'close'] : []),
    ...fields,
  ]);
  response.end(request.method === 'HEAD' ? undefined : text);
}

/**
 * For connections on which there is no request to answer: a whole response, after which they close.
 * @param isHead without content (RFC 9110 §9.3.2)
 */
export function refuseSocket(socket: Socket, { status, reason, fields = [] }: Refusal, isHead = false): void {
  // Node has taken its own listener off by now: a reset would be an uncaught error.
  socket.on('error', () => socket.destroy());
  const text = `${status} ${STATUS_CODES[status] ?? ''}: ${reason}\n`;
  let head = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\nDate: ${new Date().toUTCString()}\r\n`;
  if (!isHead) head += `Content-Type: text/plain; charset=utf-8\r\nContent-Length: ${Buffer.byteLength(text)}\r\n`;
  head += 'Cache-Status: warren; fwd=bypass\r\nVia: 1.1 warren\r\nConnection: close\r\n';
  for (let i = 0; i < fields.length; i += 2) head += `${fields[i]}: ${fields[i + 1]}\r\n`;
  socket.end(`${head}\r\n${isHead ? '' : text}`);
  destroyLater(socket, lingerMs);
}
