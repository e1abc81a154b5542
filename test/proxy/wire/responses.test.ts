import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { RawEdge } from '../../support/raw-edge.ts';
import { parseResponses, valuesOf } from '../../support/strict-http.ts';

/** What an origin says, octet by octet, and what the client gets of it: one unambiguous response, or 502. */

vi.setConfig({ testTimeout: 5_000 });

let edge: RawEdge;
beforeAll(async () => {
  edge = await new RawEdge().listen();
});
afterAll(() => edge[Symbol.asyncDispose]());
beforeEach(() => {
  edge.origin.requests.length = 0;
  edge.origin.complaints.length = 0;
});

const ok = 'HTTP/1.1 200 OK\r\n';
const good = `${ok}Content-Length: 2\r\n\r\nok`;
const chunks = (text: string): string => `${ok}Transfer-Encoding: chunked\r\n\r\n${text}`;

/** The answer to one request whose origin says `said`, and then closes if told so; behind it a request to a good origin. */
async function answers(said: string, { method = 'GET', isClosing = false, version = '1.1' } = {}) {
  edge.origin.answer = ({ target }) => {
    if (target === '/next') return good;
    return isClosing ? undefined : said;
  };
  edge.origin.lastWords = isClosing ? said : '';
  const keep = version === '1.0' ? 'Connection: keep-alive\r\n' : '';
  const octets = await edge.exchange(
    `${method} /x HTTP/${version}\r\nHost: a.example\r\n${keep}\r\n` +
      'GET /next HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n',
  );
  const { responses, rest } = parseResponses(octets, [method]);
  expect(rest).toBe('');
  const next = responses.pop();
  expect([next?.status, next?.body]).toEqual([200, 'ok']);
  return responses;
}

describe('502, and the next one is answered:', () => {
  test.each<[what: string, said: string]>([
    ['garbage', 'garbage\r\n\r\n'],
    ['a body without a head, as in HTTP/0.9 (RFC 9112 §4)', '<html>hello</html>\r\n\r\n'],
    ['another protocol', 'ICY 200 OK\r\n\r\n'],
    ['a version in small letters (RFC 9112 §2.3)', good.replace('HTTP', 'http')],
    ['a version that there is not', good.replace('1.1', '3.7')],
    ['a status of two digits (RFC 9112 §4)', good.replace('200', '20')],
    ['a status of four digits', good.replace('200', '2000')],
    ['a status in letters', good.replace('200', 'abc')],
    ['status 000 (RFC 9110 §15)', good.replace('200', '000')],
    ['status 099', good.replace('200', '099')],
    ['two spaces before the status', good.replace(' 200', '  200')],
    ['a bare CR in the reason', good.replace('OK', 'O\rK')],
    ['bare LFs (RFC 9112 §2.2)', good.replaceAll('\r\n', '\n')],
    ['one bare LF', `${ok}X: 1\nContent-Length: 2\r\n\r\nok`],
    ['a bare CR in a value (RFC 9112 §2.2)', `${ok}X: 1\r2\r\nContent-Length: 2\r\n\r\nok`],
    ['a NUL in a value (RFC 9110 §5.5)', `${ok}X: 1\x002\r\nContent-Length: 2\r\n\r\nok`],
    ['a control character in a value', `${ok}X: 1\x012\r\nContent-Length: 2\r\n\r\nok`],
    ['a folded line (RFC 9112 §5.2: discard and 502)', `${ok}X: 1\r\n 2\r\nContent-Length: 2\r\n\r\nok`],
    ['whitespace before a colon', `${ok}X : 1\r\nContent-Length: 2\r\n\r\nok`],
    ['whitespace before the first field (RFC 9112 §2.2)', `${ok} X: 1\r\nContent-Length: 2\r\n\r\nok`],
    ['a line without a colon', `${ok}X\r\nContent-Length: 2\r\n\r\nok`],
    ['an empty name', `${ok}: 1\r\nContent-Length: 2\r\n\r\nok`],
    ['a name that is no token', `${ok}X(: 1\r\nContent-Length: 2\r\n\r\nok`],
    ['two lengths (RFC 9112 §6.3: MUST)', `${ok}Content-Length: 2\r\nContent-Length: 3\r\n\r\nok!`],
    ['two lengths that are one', `${ok}Content-Length: 2\r\nContent-Length: 2\r\n\r\nok`],
    ['a list of lengths', `${ok}Content-Length: 2, 3\r\n\r\nok`],
    ...['+2', '-2', 'x', '', '2x', '0x2', '99999999999999999999'].map((length): [string, string] => [
      `Content-Length: ${JSON.stringify(length)} (RFC 9112 §6.3)`,
      `${ok}Content-Length: ${length}\r\n\r\nok`,
    ]),
    [
      'a length and chunks (RFC 9112 §6.3)',
      `${ok}Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n`,
    ],
    ['chunks and a length', `${ok}Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n2\r\nok\r\n0\r\n\r\n`],
    [
      'a coding that is not served (RFC 9112 §6.1)',
      `${ok}Transfer-Encoding: gzip, chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n`,
    ],
    ['a coding that is not served, to the end', `${ok}Transfer-Encoding: gzip\r\n\r\nok`],
    ['xchunked', `${ok}Transfer-Encoding: xchunked\r\n\r\n2\r\nok\r\n0\r\n\r\n`],
    ['chunked twice (RFC 9112 §7.1)', `${ok}Transfer-Encoding: chunked, chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n`],
    [
      'chunked in two lines',
      `${ok}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n`,
    ],
    ['a chunk size that is none (RFC 9112 §7.1)', chunks('zz\r\nok\r\n0\r\n\r\n')],
    ['a chunk size with a space', chunks('2 \r\nok\r\n0\r\n\r\n')],
    ['a chunk size beyond 64 bits', chunks('10000000000000002\r\nok\r\n0\r\n\r\n')],
    ['a chunk longer than its size', chunks('1\r\nok\r\n0\r\n\r\n')],
    ['a bare LF after a chunk size', chunks('2\nok\r\n0\r\n\r\n')],
    ['a bare LF after a chunk', chunks('2\r\nok\n0\r\n\r\n')],
    [
      '101, which nobody asked for (RFC 9110 §15.2.2)',
      'HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n',
    ],
    ['a head larger than the limit', `${ok}X: ${'x'.repeat(100_000)}\r\n\r\n`],
  ])('%s', async (_what, said) => {
    expect((await answers(said)).map(({ status }) => status)).toEqual([502]);
  });

  test.each<[what: string, said: string]>([
    ['nothing', ''],
    ['half a status line', 'HTTP/1.1 2'],
    ['half a head', `${ok}Content-Le`],
    ['less than its length (RFC 9112 §8)', `${ok}Content-Length: 5\r\n\r\nok`],
    ['chunks without the last (RFC 9112 §8)', chunks('2\r\nok\r\n')],
    ['chunks without the empty line', chunks('2\r\nok\r\n0\r\n')],
  ])('%s, and the end', async (_what, said) => {
    expect((await answers(said, { isClosing: true })).map(({ status }) => status)).toEqual([502]);
  });
});

describe('passed on as one unambiguous response:', () => {
  test.each<[what: string, said: string, body: string]>([
    ['a length', good, 'ok'],
    ['chunks (RFC 9112 §7.1)', chunks('1\r\no\r\n1\r\nk\r\n0\r\n\r\n'), 'ok'],
    ['chunk extensions, ignored (RFC 9112 §7.1.1)', chunks('2;a=b\r\nok\r\n0\r\n\r\n'), 'ok'],
    [
      'trailers, dropped (RFC 9110 §6.5.1)',
      chunks('2\r\nok\r\n0\r\nContent-Length: 9\r\nX: 1\r\n\r\n'.replace('Content-Length: 9\r\n', '')),
      'ok',
    ],
    ['an empty reason (RFC 9112 §4)', good.replace('OK', ''), 'ok'],
    ['no reason and no space', good.replace(' OK', ''), 'ok'],
    ['HTTP/1.0', good.replace('1.1', '1.0'), 'ok'],
    ['no body', `${ok}Content-Length: 0\r\n\r\n`, ''],
    ['more than its length, which is nobody’s', `${good}HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nstale`, 'ok'],
  ])('%s', async (_what, said, body) => {
    const [response] = await answers(said);
    expect([response?.status, response?.body]).toEqual([200, body]);
    expect(valuesOf(response?.fields ?? [], 'via')).toEqual(['1.1 warren']);
  });

  test('a body to the end of the connection (RFC 9112 §6.3)', async () => {
    const [response] = await answers(`${ok}\r\nto the end`, { isClosing: true });
    expect([response?.status, response?.body]).toEqual([200, 'to the end']);
  });

  test.each([
    ['204 with a length (RFC 9112 §6.3)', 'HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\nok', 204],
    ['204 with chunks (RFC 9112 §6.1)', 'HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n', 204],
    ['304 with a length', 'HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\nETag: "a"\r\n\r\n', 304],
    ['304 with a body', 'HTTP/1.1 304 Not Modified\r\nContent-Length: 2\r\n\r\nok', 304],
  ])('%s, without a body', async (_what, said, status) => {
    const [response] = await answers(said);
    expect(response?.status).toBe(status);
    expect(valuesOf(response?.fields ?? [], 'transfer-encoding')).toEqual([]);
    if (status === 204) expect(valuesOf(response?.fields ?? [], 'content-length')).toEqual([]);
  });

  test('the answer to HEAD, without the body that its origin sent all the same (RFC 9110 §9.3.2)', async () => {
    const [response] = await answers(good, { method: 'HEAD' });
    expect([response?.status, response?.body]).toEqual([200, '']);
    expect(valuesOf(response?.fields ?? [], 'content-length')).toEqual(['2']);
  });

  test.each([
    ['Connection: x-hop\r\nX-Hop: 1', 'x-hop'],
    ['Keep-Alive: timeout=1', 'x-keep'],
    ['Proxy-Authenticate: Basic', 'proxy-authenticate'],
    ['Upgrade: h2c', 'upgrade'],
    ['Trailer: X', 'trailer'],
  ])('without %j (RFC 9110 §7.6.1)', async (lines, name) => {
    const [response] = await answers(`${ok}${lines}\r\nContent-Length: 2\r\n\r\nok`);
    expect(response?.status).toBe(200);
    expect(response?.fields.map(([each]) => each)).not.toContain(name);
  });

  test('with the path that it took (RFC 9110 §7.6.3)', async () => {
    const [response] = await answers(`${ok}Via: 1.0 fred\r\nContent-Length: 2\r\n\r\nok`);
    expect(valuesOf(response?.fields ?? [], 'via')).toEqual(['1.0 fred', '1.1 warren']);
  });
});

describe('before a response', () => {
  const hints =
    'HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\nX-Why: 1\r\nContent-Length: 7\r\nConnection: x-why\r\n\r\n';

  test('103 is passed on, without what is not its own (RFC 9110 §15.2: MUST; RFC 8297)', async () => {
    const [early, response] = await answers(hints + good);
    expect(early?.status).toBe(103);
    expect(early?.fields).toEqual([
      ['link', '</a.css>; rel=preload'],
      ['via', '1.1 warren'],
    ]);
    expect([response?.status, response?.body]).toEqual([200, 'ok']);
  });

  test('several are, in order', async () => {
    const said = `HTTP/1.1 102 Processing\r\n\r\n${hints}HTTP/1.1 199 X\r\n\r\n${good}`;
    expect((await answers(said)).map(({ status }) => status)).toEqual([102, 103, 199, 200]);
  });

  const unasked = 'HTTP/1.1 100 Continue\r\n\r\n';
  test.each([
    ['once', unasked + good],
    ['twice', unasked + unasked + good],
    ['with fields', `HTTP/1.1 100 Go on\r\nX: 1\r\n\r\n${good}`],
    ['without a reason, from HTTP/1.0', `HTTP/1.0 100\r\n\r\n${good}`],
  ])(
    '100, which nobody asked for, is dropped: %s (RFC 9110 §15.2: "even if the client does not expect one")',
    async (_what, said) => {
      const [response, ...more] = await answers(said);
      expect([response?.status, response?.body]).toEqual([200, 'ok']);
      expect(more).toEqual([]);
    },
  );

  test('100 is dropped however it is cut, and the same octets in a body stay', async () => {
    const said = `${unasked}${ok}Content-Length: ${unasked.length}\r\n\r\n${unasked}`;
    edge.origin.isDripping = true;
    const [response] = await answers(said);
    edge.origin.isDripping = false;
    expect([response?.status, response?.body]).toEqual([200, unasked]);
  });

  test('100 without an end is 502', async () => {
    expect((await answers('HTTP/1.1 100 Continue\r\nX: ', { isClosing: true })).map(({ status }) => status)).toEqual([
      502,
    ]);
    expect((await answers(`HTTP/1.1 100 ${'x'.repeat(5_000)}\r\n\r\n${good}`)).map(({ status }) => status)).toEqual([
      502,
    ]);
  });

  test('none is to HTTP/1.0, which does not know them (RFC 9110 §15.2: MUST NOT)', async () => {
    expect((await answers(hints + good, { version: '1.0' })).map(({ status }) => status)).toEqual([200]);
  });
});
