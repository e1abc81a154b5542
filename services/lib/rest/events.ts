import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { asCallFailure } from '../rpc/call-failure.ts';

/** So that whoever stands between does not take a quiet stream for a dead one. */
const heartbeatMs = 15_000;

/**
 * Answers with server-sent events (WHATWG HTML, 9.2), each a message as JSON, until there are no more or the asker has gone. A
 * failure on the way is an event `failure` with code and line.
 */
export async function sendEvents(
  messages: AsyncIterable<object>,
  response: ServerResponse,
  warn: (line: string) => void,
): Promise<void> {
  response.writeHead(200, { 'Content-Type': 'text/event-stream' });
  response.flushHeaders();
  const heartbeat = setInterval(() => void response.write(':\n\n'), heartbeatMs);
  const gone = new AbortController();
  response.once('close', () => gone.abort());
  const send = async (event: string): Promise<void> => {
    if (!response.write(event)) await once(response, 'drain', { signal: gone.signal }).catch(() => {});
  };
  try {
    for await (const message of messages) await send(`data: ${JSON.stringify(message)}\n\n`);
  } catch (error) {
    const { code, message } = asCallFailure(error, warn);
    await send(`event: failure\ndata: ${JSON.stringify({ code, detail: message })}\n\n`);
  } finally {
    clearInterval(heartbeat);
    response.end();
  }
}
