import { once } from 'node:events';
import { connect } from 'node:net';
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { RawEdge } from '../support/raw-edge.ts';
import { parseResponses } from '../support/strict-http.ts';

/** The short way from the cache says octet by octet what the long one says, and takes only what it can. */

vi.setConfig({ testTimeout: 5_000 });

let edge: RawEdge;
beforeAll(async () => {
  edge = await new RawEdge().listen();
  edge.origin.answer = ({ target }) => {
    const body = target === '/large' ? 'x'.repeat(5_000) : 'body';
    const own = target === '/dated' ? 'Date: Thu, 01 Jan 2015 00:00:00 GMT\r\n' : '';
    return `HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nVary: accept\r\nETag: "v1"\r\n${own}Content-Length: ${body.length}\r\n\r\n${body}`;
  };
});
afterAll(() => edge[Symbol.asyncDispose]());
beforeEach(() => {
  edge.origin.requests.length = 0;
});

const ask = (more = '', target = '/x', method = 'GET', version = '1.1'): string =>
  `${method} ${target} HTTP/${version}\r\nHost: a.example\r\n${more}\r\n`;

/** The answers to the same request, asked one after the other on one connection, and how many of them went the long way. */
async function askTwice(text: string, times = 2): Promise<{ answers: string[]; parsed: number }> {
  const socket = connect({ port: edge.port, host: '127.0.0.1', noDelay: true });
  const isHead = text.startsWith('HEAD');
  const before = edge.parsed;
  const answers: string[] = [];
  for (let i = 0; i < times; i++) {
    let answer = '';
    socket.write(text);
    while (parseResponses(answer, [isHead ? 'HEAD' : 'GET']).responses.length === 0) {
      const [octets] = (await once(socket, 'data')) as [Buffer];
      answer += octets.toString('latin1');
    }
    answers.push(answer.replace(/^Date: (?!Thu, 01 Jan 2015).*$/m, 'Date: now'));
  }
  socket.destroy();
  return { answers, parsed: edge.parsed - before };
}

const lines = (answer = ''): string[] => answer.slice(0, answer.indexOf('\r\n\r\n')).split('\r\n').sort();
const bodyOf = (answer = ''): string => answer.slice(answer.indexOf('\r\n\r\n') + 4);

describe('the short way', () => {
  test.each<[what: string, text: string]>([
    ['a hit', ask()],
    ['a hit for HEAD', ask('', '/x', 'HEAD')],
    ['a hit by a validator', ask('If-None-Match: "v1"\r\n')],
    ['a hit by another validator', ask('If-None-Match: "v0"\r\n')],
    ['a hit of a variant', ask('Accept:  text/html \r\n')],
    ['a hit with a Date of its own', ask('', '/dated')],
    ['a hit by a port that is the default', ask().replace('a.example', 'A.example:80')],
  ])('says the same: %s', async (_what, text) => {
    await edge.exchange(
      text
        .replace(/^HEAD/, 'GET')
        .replace(/If-None.*\r\n/, '')
        .replace('\r\n\r\n', '\r\nConnection: close\r\n\r\n'),
    );
    const { answers, parsed } = await askTwice(text);
    expect(parsed).toBe(1);
    expect(answers[0]).toContain('Cache-Status: warren; hit');
    expect(lines(answers[1])).toEqual(lines(answers[0]));
    expect(bodyOf(answers[1])).toBe(bodyOf(answers[0]));
  });

  test.each<[what: string, text: string]>([
    ['a body that is long', ask('', '/large')],
    ['credentials', ask('Cookie: a=b\r\n')],
    ['what must be asked for', ask('Cache-Control: no-cache\r\n')],
    ['a range', ask('Range: bytes=0-1\r\n')],
    ['a trace', ask('traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n')],
    ['HTTP/1.0', ask('Connection: keep-alive\r\n', '/x', 'GET', '1.0')],
    ['another method', ask('', '/x', 'OPTIONS')],
    ['the absolute form', ask('', 'http://a.example/x')],
  ])('leaves to the long one: %s', async (_what, text) => {
    await edge.exchange(ask('Connection: close\r\n'));
    expect((await askTwice(text, 3)).parsed).toBe(3);
  });

  test('does not overtake an answer that is under way', async () => {
    const slow = ask('', `/slow-${edge.parsed}`);
    await edge.exchange(ask('Connection: close\r\n'));
    const octets = await edge.exchange(ask() + slow + ask() + ask('Connection: close\r\n'));
    const { responses } = parseResponses(octets, []);
    expect(responses.map(({ fields }) => fields.find(([name]) => name === 'cache-status')?.[1])).toEqual([
      expect.stringContaining('hit'),
      expect.stringContaining('fwd=miss'),
      expect.stringContaining('hit'),
      expect.stringContaining('hit'),
    ]);
  });

  test('refuses what the long one refuses', async () => {
    for (const bad of [
      'GET /%zz HTTP/1.1\r\nHost: a\r\n\r\n',
      'GET /x HTTP/1.1\r\n\r\n',
      'GET /x HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n',
    ]) {
      await edge.exchange(ask('Connection: close\r\n'));
      const { responses } = parseResponses(await edge.exchange(ask() + bad + ask()), []);
      expect(
        responses.map(({ status }) => status),
        bad,
      ).toEqual([200, 400]);
    }
  });
});
