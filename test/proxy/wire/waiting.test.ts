import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { afterEach, describe, expect, test, vi } from 'vitest';
import type { EdgeOptions } from '../../../services/proxy/edge.ts';
import { RawEdge } from '../../support/raw-edge.ts';

/** Clients that wait to be asked, take their time, stop in the middle, or end before they are answered. */

vi.setConfig({ testTimeout: 10_000 });

const edges: RawEdge[] = [];
const sockets: Socket[] = [];
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  for (const edge of edges.splice(0)) await edge[Symbol.asyncDispose]();
});

async function start(options: Partial<EdgeOptions> = {}, path = '/'): Promise<RawEdge> {
  const edge = await new RawEdge().listen(options, [{ path }]);
  edges.push(edge);
  return edge;
}

/** Octets on one connection, and what came so far. */
class Talk {
  readonly socket: Socket;
  readonly closed: Promise<unknown>;
  received = '';

  constructor(edge: RawEdge) {
    this.socket = connect({ port: edge.port, host: '127.0.0.1', noDelay: true, allowHalfOpen: true });
    sockets.push(this.socket);
    this.socket.on('error', () => {});
    this.socket.on('data', octets => {
      this.received += octets.toString('latin1');
    });
    this.closed = Promise.race([once(this.socket, 'end'), once(this.socket, 'close')]);
  }

  send(text: string): void {
    this.socket.write(Buffer.from(text, 'latin1'));
  }

  async until(pattern: RegExp): Promise<void> {
    while (!pattern.test(this.received)) await once(this.socket, 'data');
  }

  /** Sends one octet each few milliseconds until the proxy closes. */
  async drip(text: string): Promise<void> {
    let at = 0;
    const timer = setInterval(() => this.socket.write(text[at++ % text.length] ?? ''), 5);
    await this.closed;
    clearInterval(timer);
  }
}

const expecting = (target: string, more: string): string =>
  `POST ${target} HTTP/1.1\r\nHost: a.example\r\nExpect: 100-continue\r\n${more}\r\n\r\n`;

describe('a client that waits to be asked for its body (RFC 9110 §10.1.1)', () => {
  test('is asked, and then answered', async () => {
    const talk = new Talk(await start());
    talk.send(expecting('/x', 'Content-Length: 5'));
    await talk.until(/\r\n\r\n/);
    expect(talk.received).toBe('HTTP/1.1 100 Continue\r\n\r\n');
    talk.send('hello');
    await talk.until(/ok$/);
    expect(talk.received).toMatch(/^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200 OK\r\n/);
    expect(edges[0]?.origin.requests[0]).toMatchObject({ method: 'POST', body: 'hello' });
    expect(edges[0]?.origin.requests[0]?.fields.map(([name]) => name)).not.toContain('expect');
  });

  test.each<[status: number, what: string, target: string, more: string]>([
    [404, 'no route', '/none', 'Content-Length: 5'],
    [413, 'a body beyond the limit', '/site/x', 'Content-Length: 99999999'],
    [400, 'a bad target', '/site/%zz', 'Content-Length: 5'],
  ])('gets %i without being asked: %s, and the connection closes', async (status, _what, target, more) => {
    const talk = new Talk(await start({}, '/site'));
    talk.send(expecting(target, more));
    await talk.closed;
    expect(talk.received).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
    expect(talk.received).toMatch(/\r\nConnection: close\r\n/);
    expect(edges[0]?.origin.requests).toEqual([]);
  });

  test('is not asked when there is no body to come ("MAY omit")', async () => {
    const talk = new Talk(await start());
    talk.send(expecting('/x', 'Content-Length: 0'));
    await talk.until(/ok$/);
    expect(talk.received).toMatch(/^HTTP\/1\.1 200 OK/);
  });

  test('is not asked in HTTP/1.0 (RFC 9110 §10.1.1: "MUST ignore that expectation")', async () => {
    const talk = new Talk(await start());
    talk.send(expecting('/x', 'Content-Length: 5').replace('1.1', '1.0'));
    talk.send('hello');
    await talk.closed;
    expect(talk.received).toMatch(/^HTTP\/1\.1 200 OK/);
  });

  test('is not asked before it is its turn', async () => {
    const edge = await start();
    const gate = Promise.withResolvers<void>();
    edge.origin.answer = ({ target }) => {
      if (target === '/first') gate.resolve();
      return 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';
    };
    const talk = new Talk(edge);
    talk.send(`POST /first HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n${expecting('/x', 'Content-Length: 5')}`);
    await gate.promise;
    await talk.until(/100 Continue\r\n\r\n$/);
    expect(talk.received).toMatch(/^HTTP\/1\.1 200 OK/);
    talk.send('hello');
    await talk.until(/ok[\s\S]*100[\s\S]*ok$/);
  });
});

describe('a client that takes its time', () => {
  const head = 'GET /x HTTP/1.1\r\nHost: a.example\r\n';

  test('with its first head gets 408, however steadily it sends (RFC 9110 §15.5.9)', async () => {
    const talk = new Talk(await start({ headerTimeoutMs: 100 }));
    await talk.drip(`${head}X: ${'x'.repeat(5_000)}`);
    expect(talk.received).toMatch(/^HTTP\/1\.1 408 /);
  });

  test('with a later head as well', async () => {
    const talk = new Talk(await start({ headerTimeoutMs: 100 }));
    talk.send(`${head}\r\n`);
    await talk.until(/ok$/);
    await talk.drip(`${head}X: ${'x'.repeat(5_000)}`);
    expect(talk.received).toMatch(/okHTTP\/1\.1 408 /);
  });

  test('with the size of a chunk gets 408', async () => {
    const talk = new Talk(await start({ bodyTimeoutMs: 100 }));
    talk.send('POST /x HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n');
    await talk.drip('0');
    expect(talk.received).toMatch(/^HTTP\/1\.1 408 /);
    expect(edges[0]?.origin.requests).toEqual([]);
  });

  test('between requests is closed in silence', async () => {
    const talk = new Talk(await start({ idleTimeoutMs: 50 }));
    talk.send(`${head}\r\n`);
    await talk.until(/ok$/);
    await talk.closed;
    expect(talk.received).toMatch(/ok$/);
  });

  test('before its first request is closed in silence: a 408 would be taken for the answer to it', async () => {
    const talk = new Talk(await start({ headerTimeoutMs: 100 }));
    await talk.closed;
    expect(talk.received).toBe('');
  });

  test('over an empty line behind a request is not within another', async () => {
    const talk = new Talk(await start({ headerTimeoutMs: 50, idleTimeoutMs: 200 }));
    talk.send(`${head}\r\n\r\n`);
    await talk.closed;
    expect(talk.received).toMatch(/ok$/);
  });
});

describe('a client that has sent its end', () => {
  const request = 'GET /x HTTP/1.1\r\nHost: a.example\r\n\r\n';

  test('and waits is answered, however long it takes, and told meanwhile (RFC 9110 §15.2)', async () => {
    const edge = await start();
    const release = Promise.withResolvers<void>();
    edge.origin.delay = () => release.promise;
    const talk = new Talk(edge);
    talk.socket.end(request);
    await talk.until(/102 Processing\r\n\r\nHTTP\/1\.1 102/);
    release.resolve();
    await talk.closed;
    expect(talk.received).toMatch(/^(?:HTTP\/1\.1 102 Processing\r\n\r\n)+HTTP\/1\.1 200 OK[\s\S]*ok$/);
  });

  test('and has gone is noticed: its request is broken off', async () => {
    const edge = await start();
    const began = Promise.withResolvers<void>();
    edge.origin.delay = () => {
      began.resolve();
      return new Promise(() => {});
    };
    const talk = new Talk(edge);
    talk.send(request);
    await began.promise;
    talk.socket.destroy();
    await edge.origin.broken;
  });
});
