import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { RawEdge } from '../../support/raw-edge.ts';
import { parseResponses, type StrictRequest, valuesOf } from '../../support/strict-http.ts';

/**
 * Octets in, and what client and origin get, one line a case. Each connection goes on with one more request: behind what is refused it
 * would be smuggled, behind what is served it must be the next one.
 */

// A connection that stays open where it should close shows soon.
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

/** A good request plus overrides. */
interface Request {
  /** The request line. */
  readonly line?: string;
  readonly host?: string;
  /** Further header lines. */
  readonly more?: string;
  readonly body?: string;
}

function text({ line = 'GET /x HTTP/1.1', host = 'Host: a.example', more = '', body = '' }: Request): string {
  const lines = [line, host, more].filter(each => each !== '');
  return `${lines.join('\r\n')}\r\n\r\n${body}`;
}

const post = (more: string, body = ''): string => text({ line: 'POST /x HTTP/1.1', more, body });
const chunked = (body: string): string => post('Transfer-Encoding: chunked', body);
const field = (line: string): string => text({ more: line });
const line = (requestLine: string): string => text({ line: requestLine });
const host = (value: string): string => text({ host: `Host: ${value}` });
const smuggled = 'GET /smuggled HTTP/1.1\r\nHost: a.example\r\n\r\n';
const next = 'GET /next HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n';

async function refused(octets: string): Promise<number> {
  const { responses, rest } = parseResponses(await edge.exchange(octets + smuggled), []);
  expect(rest).toBe('');
  expect(responses).toHaveLength(1);
  expect(valuesOf(responses[0]?.fields ?? [], 'connection')).toEqual(['close']);
  expect(edge.origin.requests).toEqual([]);
  expect(edge.origin.complaints).toEqual([]);
  return responses[0]?.status ?? 0;
}

/** @returns what the origin got, without the request that follows */
async function served(octets: string, method = 'GET'): Promise<StrictRequest> {
  const { responses, rest } = parseResponses(await edge.exchange(octets + next), [method]);
  expect(rest).toBe('');
  expect(responses.map(({ status }) => status)).toEqual([200, 200]);
  expect(edge.origin.complaints).toEqual([]);
  // Which of two safe ones comes first is nobody's business.
  const others = edge.origin.requests.filter(({ target }) => target !== '/next');
  expect([edge.origin.requests.length, others.length]).toEqual([2, 1]);
  const [request] = others;
  if (!request) throw new Error('the origin got nothing');
  return request;
}

describe('refused, once, and nothing behind it is a request:', () => {
  test.each<[what: string, status: number, octets: string]>([
    // RFC 9112 §2.2
    ['a bare LF after the request line (RFC 9112 §2.2)', 400, 'GET /x HTTP/1.1\nHost: a.example\r\n\r\n'],
    ['a bare LF after a header (RFC 9112 §2.2)', 400, 'GET /x HTTP/1.1\r\nHost: a.example\nX: 1\r\n\r\n'],
    ['bare LFs all over (RFC 9112 §2.2)', 400, 'GET /x HTTP/1.1\nHost: a.example\n\n'],
    ['a bare LF as empty line (RFC 9112 §2.2)', 400, 'GET /x HTTP/1.1\r\nHost: a.example\r\n\n'],
    ['CR LF LF', 400, 'GET /x HTTP/1.1\r\nHost: a.example\r\nX: 1\r\n\n'],
    ['LF CR for CR LF', 400, 'GET /x HTTP/1.1\n\rHost: a.example\n\r\n\r'],
    ['bare CRs for line ends (RFC 9112 §2.2)', 400, 'GET /x HTTP/1.1\rHost: a.example\r\r'],
    ['a bare CR in the target', 400, line('GET /x\ry HTTP/1.1')],
    ['a bare CR in a name', 400, field('X\rY: 1')],
    ['a bare CR in a value (RFC 9112 §2.2)', 400, field('X: 1\rY: 2')],
    ['CR CR LF', 400, field('X: 1\r')],
    ['CR CR LF after the version', 400, line('GET /x HTTP/1.1\r')],
    ['a bare CR as empty line', 400, 'GET /x HTTP/1.1\r\nHost: a.example\r\n\rX: 1\r\n\r\n'],
    ['a bare CR before the request line', 400, `\r${text({})}`],
    ['a bare LF before the request line', 400, `\n${text({})}`],
    ['empty lines without end', 400, `${'\r\n'.repeat(20)}${text({})}`],
    ['a line of spaces first (RFC 9112 §2.2)', 400, `  \r\n${text({})}`],
    ['whitespace before the first header (RFC 9112 §2.2)', 400, 'GET /x HTTP/1.1\r\n Host: a.example\r\n\r\n'],
    ['whitespace before all headers', 400, 'GET /x HTTP/1.1\r\n X: 1\r\nHost: a.example\r\n\r\n'],
    ['binary garbage', 400, '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n'],
    ['garbage in words', 400, 'garbage\r\n\r\n'],
    ['a request without an end of line but another’s', 400, 'GET /x HTTP/1.1 '],
    // RFC 9112 §2.3, RFC 9110 §2.5
    ['HTTP/0.9, without a version (RFC 9112 §3)', 400, 'GET /x\r\n'],
    ['HTTP/0.9 by name', 505, line('GET /x HTTP/0.9')],
    ['HTTP/2.0 (RFC 9110 §15.6.6)', 505, line('GET /x HTTP/2.0')],
    ['HTTP/3.0', 505, line('GET /x HTTP/3.0')],
    ['the preface of HTTP/2 (RFC 9113 §3.4)', 505, 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
    ['a version in small letters (RFC 9112 §2.3)', 400, line('GET /x http/1.1')],
    ['a version without a minor one', 400, line('GET /x HTTP/1')],
    ['a version with an empty minor one', 400, line('GET /x HTTP/1.')],
    ['a version with two digits', 400, line('GET /x HTTP/1.10')],
    ['a version with a leading zero', 400, line('GET /x HTTP/01.1')],
    ['a version with whitespace within', 400, line('GET /x HTTP/ 1.1')],
    ['a version with a sign', 400, line('GET /x HTTP/+1.1')],
    ['a version with a comma', 400, line('GET /x HTTP/1,1')],
    ['another protocol: RTSP', 400, line('OPTIONS * RTSP/1.0')],
    ['another protocol: ICE', 400, line('GET /x ICE/1.0')],
    ['no version after a space', 400, line('GET /x ')],
    // RFC 9112 §3
    ['whitespace before the method (RFC 9112 §3)', 400, line(' GET /x HTTP/1.1')],
    ['two spaces before the target (RFC 9112 §3)', 400, line('GET  /x HTTP/1.1')],
    ['two spaces before the version (RFC 9112 §3)', 400, line('GET /x  HTTP/1.1')],
    ['a space after the version', 400, line('GET /x HTTP/1.1 ')],
    ['a tab after the method', 400, line('GET\t/x HTTP/1.1')],
    ['a tab before the version', 400, line('GET /x\tHTTP/1.1')],
    ['a tab after the version', 400, line('GET /x HTTP/1.1\t')],
    ['a vertical tab after the method', 400, line('GET\v/x HTTP/1.1')],
    ['four words in the request line', 400, line('GET /x y HTTP/1.1')],
    ['no target', 400, line('GET HTTP/1.1')],
    ['an empty target', 400, line('GET  HTTP/1.1')],
    ['no method', 400, line(' /x HTTP/1.1')],
    ['a method with a separator in it (RFC 9110 §9.1)', 400, line('GE(T /x HTTP/1.1')],
    ['a method with a colon', 400, line('GET: /x HTTP/1.1')],
    ['a method beyond ASCII', 400, line('G\xc9T /x HTTP/1.1')],
    ['a method with a control character', 400, line('G\x01ET /x HTTP/1.1')],
    ['an unknown method (RFC 9110 §15.6.2)', 501, line('BREW /x HTTP/1.1')],
    ['a method in small letters (RFC 9110 §9.1: "case-sensitive")', 501, line('get /x HTTP/1.1')],
    ['a method with a letter more', 501, line('GETS /x HTTP/1.1')],
    ['a method longer than any (RFC 9112 §3)', 501, line(`${'A'.repeat(9_000)} /x HTTP/1.1`)],
    ['CONNECT (RFC 9110 §9.3.6)', 405, line('CONNECT a.example:443 HTTP/1.1')],
    // RFC 9112 §3.2
    ['a target beyond ASCII (RFC 3986 §2)', 400, line('GET /caf\xe9 HTTP/1.1')],
    ['a target in overlong UTF-8', 400, line('GET /\xc0\xaf HTTP/1.1')],
    ['a NUL in the target', 400, line('GET /x\x00y HTTP/1.1')],
    ['a control character in the target', 400, line('GET /x\x1fy HTTP/1.1')],
    ['DEL in the target', 400, line('GET /x\x7f HTTP/1.1')],
    ['a fragment (RFC 9112 §3.2.1)', 400, line('GET /x#y HTTP/1.1')],
    ['a fragment in the query', 400, line('GET /x?y#z HTTP/1.1')],
    ['a fragment in the absolute form', 400, line('GET http://a.example/x#y HTTP/1.1')],
    ['a backslash in the path', 400, line('GET /x\\y HTTP/1.1')],
    ['a backslash for the path', 400, line('GET \\x HTTP/1.1')],
    ['angle brackets in the path', 400, line('GET /<x> HTTP/1.1')],
    ['a quote in the query', 400, line('GET /x?"y" HTTP/1.1')],
    ['% without two hexadecimal digits (RFC 3986 §2.1)', 400, line('GET /%zz HTTP/1.1')],
    ['% at the end', 400, line('GET /x% HTTP/1.1')],
    ['%00 in the path', 400, line('GET /x%00 HTTP/1.1')],
    ['a path without a slash (RFC 9112 §3.2.1)', 400, line('GET x HTTP/1.1')],
    ['a query without a path', 400, line('GET ?x HTTP/1.1')],
    ['* for GET (RFC 9112 §3.2.4)', 400, line('GET * HTTP/1.1')],
    ['the authority form for GET (RFC 9112 §3.2.3)', 400, line('GET a.example:80 HTTP/1.1')],
    ['a target with userinfo (RFC 9110 §4.2.4)', 400, line('GET http://u:p@a.example/x HTTP/1.1')],
    ['a target without a host (RFC 9110 §4.2.1)', 400, line('GET http:///x HTTP/1.1')],
    ['a target with a bad port', 400, line('GET http://a.example:99999/x HTTP/1.1')],
    ['another scheme', 400, line('GET ftp://a.example/x HTTP/1.1')],
    ['a file', 400, line('GET file:///etc/passwd HTTP/1.1')],
    ['a target longer than the limit (RFC 9112 §3)', 414, line(`GET /${'x'.repeat(9_000)} HTTP/1.1`)],
    // RFC 9112 §3.2, RFC 9110 §7.2
    ['no Host (RFC 9112 §3.2)', 400, text({ host: '' })],
    ['no Host with the absolute form', 400, text({ line: 'GET http://a.example/x HTTP/1.1', host: '' })],
    ['two Hosts (RFC 9112 §3.2)', 400, text({ more: 'Host: b.example' })],
    ['two Hosts that are one', 400, text({ more: 'Host: a.example' })],
    ['two Hosts in different letter case', 400, text({ more: 'HOST: a.example' })],
    ['two Hosts in HTTP/1.0', 400, text({ line: 'GET /x HTTP/1.0', more: 'Host: a.example' })],
    ['a bad Host beside the absolute form', 400, text({ line: 'GET http://a.example/x HTTP/1.1', host: 'Host: b/c' })],
    ...[
      '',
      'a b',
      'a/b',
      'a?b',
      'a#b',
      'u@a',
      'u:p@a',
      'http://a',
      'a, b',
      'a,b',
      'a:b',
      'a:80:80',
      'a:-1',
      'a:+80',
    ].map((value): [string, number, string] => [`Host ${JSON.stringify(value)} (RFC 9110 §7.2)`, 400, host(value)]),
    ...[
      'a:99999',
      'a:65536',
      'a:80x',
      ':80',
      '[::1',
      '::1',
      '[]',
      '[::g]',
      '[1.2.3.4]',
      'a\\b',
      '"a"',
      'caf\xe9',
      'a%zz',
      'a\tb',
    ].map((value): [string, number, string] => [`Host ${JSON.stringify(value)} (RFC 9110 §7.2)`, 400, host(value)]),
    ['a folded Host', 400, text({ host: 'Host:\r\n a.example' })],
    ['a space before the colon of Host (RFC 9112 §5.1)', 400, text({ host: 'Host : a.example' })],
    // RFC 9112 §5
    ['a space before a colon (RFC 9112 §5.1)', 400, field('X : 1')],
    ['a tab before a colon (RFC 9112 §5.1)', 400, field('X\t: 1')],
    ['a line without a colon (RFC 9112 §5)', 400, field('X')],
    ['an empty name (RFC 9112 §5)', 400, field(': 1')],
    ['a name with a space', 400, field('X Y: 1')],
    ...['(', ')', '<', '>', '@', ',', ';', '\\', '"', '/', '[', ']', '?', '=', '{', '}', '\x00', '\x7f', '\xe9'].map(
      (octet): [string, number, string] => [
        `${JSON.stringify(octet)} in a name (RFC 9110 §5.6.2)`,
        400,
        field(`X${octet}Y: 1`),
      ],
    ),
    ['a folded line (RFC 9112 §5.2)', 400, field('X: 1\r\n 2')],
    ['a line folded with a tab (RFC 9112 §5.2)', 400, field('X: 1\r\n\t2')],
    ['a line folded before its value', 400, field('X:\r\n 1')],
    ['a line folded to nothing', 400, field('X: 1\r\n ')],
    ...[0x00, 0x01, 0x07, 0x08, 0x0b, 0x0c, 0x0e, 0x1b, 0x1f, 0x7f].map((octet): [string, number, string] => [
      `octet ${octet} in a value (RFC 9110 §5.5)`,
      400,
      field(`X: a${String.fromCharCode(octet)}b`),
    ]),
    ['a head larger than the limit (RFC 9110 §5.4)', 431, field(`X: ${'x'.repeat(9_000)}`)],
    ['a name larger than the limit', 431, field(`${'x'.repeat(9_000)}: 1`)],
    ['many small fields', 431, field(Array.from({ length: 2_000 }, (_, i) => `X${i}: 1`).join('\r\n'))],
    // RFC 9112 §6.1, §6.3
    ['a length and chunks (RFC 9112 §6.1)', 400, post('Content-Length: 5\r\nTransfer-Encoding: chunked', '0\r\n\r\n')],
    ['chunks and a length', 400, post('Transfer-Encoding: chunked\r\nContent-Length: 5', '0\r\n\r\n')],
    ['a length of 0 and chunks', 400, post('Content-Length: 0\r\nTransfer-Encoding: chunked', '0\r\n\r\n')],
    ['a length and an unknown coding', 400, post('Content-Length: 5\r\nTransfer-Encoding: xchunked', 'hello')],
    ['a length and identity', 400, post('Content-Length: 5\r\nTransfer-Encoding: identity', 'hello')],
    [
      'chunks in HTTP/1.0 (RFC 9112 §6.1)',
      400,
      text({ line: 'POST /x HTTP/1.0', more: 'Transfer-Encoding: chunked', body: '0\r\n\r\n' }),
    ],
    [
      'chunks in HTTP/1.0, kept alive',
      400,
      text({
        line: 'POST /x HTTP/1.0',
        more: 'Connection: keep-alive\r\nTransfer-Encoding: chunked',
        body: '0\r\n\r\n',
      }),
    ],
    [
      'a length and chunks in HTTP/1.0',
      400,
      text({ line: 'POST /x HTTP/1.0', more: 'Content-Length: 5\r\nTransfer-Encoding: chunked', body: '0\r\n\r\n' }),
    ],
    ['a coding not served (RFC 9112 §6.1)', 501, post('Transfer-Encoding: gzip, chunked', '0\r\n\r\n')],
    ['a coding not served, alone (RFC 9112 §6.3: not final chunked)', 400, post('Transfer-Encoding: gzip')],
    ['chunked, not last (RFC 9112 §6.3)', 400, post('Transfer-Encoding: chunked, gzip', '0\r\n\r\n')],
    ['chunked, then identity', 400, post('Transfer-Encoding: chunked, identity', '0\r\n\r\n')],
    ['identity, then chunked', 400, post('Transfer-Encoding: identity, chunked', '0\r\n\r\n')],
    [
      'identity, then chunked, in two lines',
      400,
      post('Transfer-Encoding: identity\r\nTransfer-Encoding: chunked', '0\r\n\r\n'),
    ],
    ['identity (RFC 9112 §7)', 400, post('Transfer-Encoding: identity', 'x')],
    ['chunked twice (RFC 9112 §7.1)', 400, post('Transfer-Encoding: chunked, chunked', '0\r\n\r\n')],
    ['chunked in two lines', 400, post('Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked', '0\r\n\r\n')],
    ['two codings in two lines', 400, post('Transfer-Encoding: chunked\r\nTransfer-Encoding: x', '0\r\n\r\n')],
    ['an empty coding', 400, post('Transfer-Encoding:', '0\r\n\r\n')],
    ...[
      'xchunked',
      'chunkedx',
      'chunked;q=1',
      '"chunked"',
      "'chunked'",
      'chunked chunked',
      'chunk ed',
      ',chunked',
      'chunked,',
      'x;chunked',
      'chunked\x00',
      '\vchunked',
      'chunked\f',
      '\x85chunked',
      'chunked\xa0',
      '[chunked]',
      'chun\xadked',
    ].map((value): [string, number, string] => [
      `Transfer-Encoding: ${JSON.stringify(value)}`,
      400,
      post(`Transfer-Encoding: ${value}`, '0\r\n\r\n'),
    ]),
    [
      'a space before the colon of Transfer-Encoding (RFC 9112 §5.1)',
      400,
      post('Transfer-Encoding : chunked', '0\r\n\r\n'),
    ],
    ['a folded Transfer-Encoding', 400, post('Transfer-Encoding:\r\n chunked', '0\r\n\r\n')],
    ['a Transfer-Encoding folded into the line before', 400, post('X: 1\r\n Transfer-Encoding: chunked', '0\r\n\r\n')],
    ['a Transfer-Encoding behind a bare CR', 400, post('X: 1\rTransfer-Encoding: chunked', '0\r\n\r\n')],
    ['a Transfer-Encoding behind a bare LF', 400, post('X: 1\nTransfer-Encoding: chunked', '0\r\n\r\n')],
    ['two lengths (RFC 9112 §6.3)', 400, post('Content-Length: 5\r\nContent-Length: 6', 'hello')],
    [
      'two lengths that are one (RFC 9110 §8.6: may be rejected)',
      400,
      post('Content-Length: 5\r\nContent-Length: 5', 'hello'),
    ],
    ['a list of lengths', 400, post('Content-Length: 5, 6', 'hello')],
    ['a list of lengths that are one', 400, post('Content-Length: 5, 5', 'hello')],
    ...[
      '',
      '+5',
      '-5',
      '-0',
      '5x',
      'x5',
      '0x5',
      '0o5',
      '5_0',
      '5 5',
      '5.0',
      '5e0',
      '5;',
      '"5"',
      '5,',
      ',5',
      '\v5',
      '5\f',
      '\xa05',
      '١',
      '05',
      '00',
      '0005',
      '1844674407370955162100',
      '9007199254740993',
    ].map((value): [string, number, string] => [
      `Content-Length: ${JSON.stringify(value)} (RFC 9112 §6.3)`,
      400,
      post(`Content-Length: ${value}`, 'hello'),
    ]),
    ['a space before the colon of Content-Length (RFC 9112 §5.1)', 400, post('Content-Length : 5', 'hello')],
    ['a folded Content-Length', 400, post('Content-Length:\r\n 5', 'hello')],
    ['a length beyond the limit (RFC 9110 §15.5.14)', 413, post('Content-Length: 99999999', 'hello')],
    // RFC 9112 §7.1
    ...['', 'x', '0x5', '+5', '-5', ' 5', '5 ', '5\t', '5_0', '5,', '5h', '5\x00', '5\v', 'g', '"5"', '5.0'].map(
      (size): [string, number, string] => [
        `a chunk of size ${JSON.stringify(size)} (RFC 9112 §7.1)`,
        400,
        chunked(`${size}\r\nhello\r\n0\r\n\r\n`),
      ],
    ),
    ['a chunk size beyond 64 bits', 400, chunked('10000000000000005\r\nhello\r\n0\r\n\r\n')],
    ['a chunk size beyond what a number holds', 400, chunked('20000000000005\r\nhello\r\n0\r\n\r\n')],
    ['a chunk longer than its size (RFC 9112 §7.1)', 400, chunked('3\r\nhello\r\n0\r\n\r\n')],
    ['a chunk without CRLF behind it', 400, chunked('5\r\nhello0\r\n\r\n')],
    ['a chunk with a bare LF behind it', 400, chunked('5\r\nhello\n0\r\n\r\n')],
    ['a chunk with a bare CR behind it', 400, chunked('5\r\nhello\rX0\r\n\r\n')],
    ['a bare LF after a chunk size', 400, chunked('5\nhello\r\n0\r\n\r\n')],
    ['a bare CR after a chunk size', 400, chunked('5\rhello\r\n0\r\n\r\n')],
    ['CR CR LF after a chunk size', 400, chunked('5\r\r\nhello\r\n0\r\n\r\n')],
    ['a bare LF at the end of the chunks', 400, chunked('5\r\nhello\r\n0\n\n')],
    ['a bare LF behind the last chunk', 400, chunked('5\r\nhello\r\n0\r\n\n')],
    ...[
      ';',
      ';;',
      '; ;a',
      ';a=',
      ';a="',
      ';a="b',
      ';=b',
      ';a b',
      ';a\x00',
      ';a\x7f',
      ';a=b\x01',
      ';\xe9',
      ';a="\x00"',
    ].map((extension): [string, number, string] => [
      `a chunk with extension ${JSON.stringify(extension)} (RFC 9112 §7.1.1)`,
      400,
      chunked(`5${extension}\r\nhello\r\n0\r\n\r\n`),
    ]),
    ['a bare LF in a chunk extension', 400, chunked('5;a\nb\r\nhello\r\n0\r\n\r\n')],
    ['a bare LF in a quoted chunk extension', 400, chunked('5;a="\nb"\r\nhello\r\n0\r\n\r\n')],
    ['a bare CR in a chunk extension', 400, chunked('5;a\rb\r\nhello\r\n0\r\n\r\n')],
    [
      'a chunk extension longer than the limit (RFC 9112 §7.1.1)',
      400,
      chunked(`5;a=${'b'.repeat(5_000)}\r\nhello\r\n0\r\n\r\n`),
    ],
    [
      'chunk extensions longer than the limit together',
      400,
      chunked(`${`1;a=${'b'.repeat(3_000)}\r\nx\r\n`.repeat(6)}0\r\n\r\n`),
    ],
    ['chunks beyond the limit', 413, chunked(`${'4000\r\n'}${'x'.repeat(0x4000)}\r\n`.repeat(5))],
    ['a trailer without a colon (RFC 9112 §7.1.2)', 400, chunked('0\r\nX\r\n\r\n')],
    ['a trailer with a space before its colon', 400, chunked('0\r\nX : 1\r\n\r\n')],
    ['a folded trailer', 400, chunked('0\r\nX: 1\r\n 2\r\n\r\n')],
    ['a trailer with a bare LF', 400, chunked('0\r\nX: 1\nY: 2\r\n\r\n')],
    ['a trailer with a control character', 400, chunked('0\r\nX: \x01\r\n\r\n')],
    ['trailers larger than the limit', 431, chunked(`0\r\n${'X: 1\r\n'.repeat(2_000)}\r\n`)],
    // RFC 9110
    ['https over a connection that is not secured (RFC 9110 §7.4)', 421, line('GET https://a.example/x HTTP/1.1')],
    ['an expectation that is none (RFC 9110 §10.1.1)', 417, text({ more: 'Expect: miracles\r\nConnection: close' })],
    [
      'Max-Forwards that is no number (RFC 9110 §7.6.2)',
      400,
      text({ line: 'OPTIONS /x HTTP/1.1', more: 'Max-Forwards: x' }),
    ],
  ])('%s: %i', async (_what, status, octets) => {
    // 421 alone says nothing of the framing; its connection would go on.
    if (status === 421) {
      const answer = await edge.exchange(octets + next);
      expect(answer).toMatch(/^HTTP\/1\.1 421 /);
      expect(edge.origin.requests.map(({ target }) => target)).toEqual(['/next']);
    } else expect(await refused(octets)).toBe(status);
  });
});

describe('served, and the next one too:', () => {
  test.each<[what: string, octets: string, expected: Partial<StrictRequest>]>([
    ['the plainest', text({}), { method: 'GET', target: '/x', body: '' }],
    ['an empty line first (RFC 9112 §2.2)', `\r\n${text({})}`, { target: '/x' }],
    ['two empty lines first', `\r\n\r\n${text({})}`, { target: '/x' }],
    ['HTTP/1.2, as 1.1 (RFC 9110 §2.5)', line('GET /x HTTP/1.2'), { target: '/x' }],
    ['HTTP/1.9, as 1.1 (RFC 9110 §2.5)', line('GET /x HTTP/1.9'), { target: '/x' }],
    ['no space after a colon (RFC 9112 §5)', field('X:1'), { target: '/x' }],
    ['whitespace around a value (RFC 9112 §5.1)', field('X: \t 1 \t '), { target: '/x' }],
    ['an empty value', field('X:'), { target: '/x' }],
    ['obs-text in a value (RFC 9110 §5.5)', field('X: caf\xe9'), { target: '/x' }],
    ['all characters of a name (RFC 9110 §5.6.2)', field("!#$%&'*+-.^`|~0Az: 1"), { target: '/x' }],
    ['a method of WebDAV', line('PROPFIND /x HTTP/1.1'), { method: 'PROPFIND' }],
    ['// in the path', line('GET //a//b HTTP/1.1'), { target: '//a//b' }],
    ['dots in the path', line('GET /a/../b/. HTTP/1.1'), { target: '/a/../b/.' }],
    ['percent-encoding as it came', line('GET /%2e%2F%e9?%00%0d%0a HTTP/1.1'), { target: '/%2e%2F%e9?%00%0d%0a' }],
    ['an empty query', line('GET /x? HTTP/1.1'), { target: '/x?' }],
    [
      'all that a path may have',
      line("GET /-._~!$&'()*+,;=:@|[]{}^` HTTP/1.1"),
      { target: "/-._~!$&'()*+,;=:@|[]{}^`" },
    ],
    ['a query as browsers send it', line('GET /x?a=100%&b=\\|{}^[]?/ HTTP/1.1'), { target: '/x?a=100%&b=\\|{}^[]?/' }],
    ['the absolute form (RFC 9112 §3.2.2)', line('GET http://b.example/y?z HTTP/1.1'), { target: '/y?z' }],
    ['the absolute form without a path', line('GET http://b.example HTTP/1.1'), { target: '/' }],
    ['the absolute form with only a query', line('GET http://b.example?z HTTP/1.1'), { target: '/?z' }],
    ['the absolute form in capitals', line('GET HTTP://B.EXAMPLE/y HTTP/1.1'), { target: '/y' }],
    ['a Host with a port', host('a.example:8080'), { target: '/x' }],
    ['a Host with an empty port (RFC 3986 §3.2.3)', host('a.example:'), { target: '/x' }],
    ['a Host that is an IPv6 address', host('[2001:db8::1]:80'), { target: '/x' }],
    ['a body', post('Content-Length: 5', 'hello'), { method: 'POST', body: 'hello' }],
    ['whitespace around a length', post('Content-Length: \t5 ', 'hello'), { body: 'hello' }],
    ['a name in capitals', post('CONTENT-LENGTH: 5', 'hello'), { body: 'hello' }],
    ['a body that looks like a request', post(`Content-Length: ${smuggled.length}`, smuggled), { body: smuggled }],
    ['no body', post('Content-Length: 0'), { method: 'POST', body: '' }],
    ['POST without a length (RFC 9112 §6.3)', post(''), { method: 'POST', body: '' }],
    ['GET with a body (RFC 9110 §9.3.1)', text({ more: 'Content-Length: 5', body: 'hello' }), { body: 'hello' }],
    [
      'DELETE with a body',
      text({ line: 'DELETE /x HTTP/1.1', more: 'Content-Length: 5', body: 'hello' }),
      { body: 'hello' },
    ],
    [
      'an empty line behind a body, of old clients (RFC 9112 §2.2)',
      post('Content-Length: 5', 'hello\r\n'),
      { body: 'hello' },
    ],
    ['chunks (RFC 9112 §7.1)', chunked('5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n'), { body: 'hello world' }],
    ['no chunks', chunked('0\r\n\r\n'), { body: '' }],
    [
      'CHUNKED (RFC 9112 §7: "case-insensitive")',
      post('Transfer-Encoding: CHUNKED', '5\r\nhello\r\n0\r\n\r\n'),
      { body: 'hello' },
    ],
    [
      'whitespace around chunked (RFC 9110 §5.5)',
      post('Transfer-Encoding:\tchunked \t', '5\r\nhello\r\n0\r\n\r\n'),
      { body: 'hello' },
    ],
    [
      'hexadecimal digits of both cases',
      chunked(`a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n`),
      { body: '01234567890123456789' },
    ],
    ['zeros before a chunk size', chunked('00000000000000000005\r\nhello\r\n000\r\n\r\n'), { body: 'hello' }],
    [
      'chunk extensions, ignored (RFC 9112 §7.1.1: MUST)',
      chunked('5;a=b;c;d="e;\\"f"\r\nhello\r\n0;g\r\n\r\n'),
      { body: 'hello' },
    ],
    [
      'whitespace in chunk extensions (RFC 9112 §7.1.1: BWS)',
      chunked('5 ; a\t= b\r\nhello\r\n0\r\n\r\n'),
      { body: 'hello' },
    ],
    [
      'chunks that look like requests',
      chunked(`${smuggled.length.toString(16)}\r\n${smuggled}\r\n0\r\n\r\n`),
      { body: smuggled },
    ],
    ['trailers, dropped (RFC 9110 §6.5.1)', chunked('0\r\nX: 1\r\nY:\r\n\r\n'), { body: '' }],
    [
      'trailers that would frame',
      chunked('0\r\nContent-Length: 50\r\nTransfer-Encoding: chunked\r\n\r\n'),
      { body: '' },
    ],
    [
      'trailers that would close, or be another host',
      chunked('0\r\nConnection: close\r\nHost: b.example\r\n\r\n'),
      { body: '' },
    ],
    ['an Upgrade that nobody takes (RFC 9110 §7.8)', field('Connection: upgrade\r\nUpgrade: x/1'), { target: '/x' }],
    [
      'an upgrade to HTTP/2',
      field('Connection: upgrade, http2-settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMA'),
      { target: '/x' },
    ],
    ['Upgrade without its option', field('Upgrade: websocket'), { target: '/x' }],
    [
      'HTTP/1.0, kept alive (RFC 9112 §9.3)',
      text({ line: 'GET /x HTTP/1.0', more: 'Connection: keep-alive' }),
      { target: '/x' },
    ],
    [
      'HTTP/1.0 without Host',
      text({ line: 'GET /x HTTP/1.0', host: '', more: 'Connection: keep-alive' }),
      { target: '/x' },
    ],
    ['Max-Forwards of another method (RFC 9110 §7.6.2)', field('Max-Forwards: 0'), { target: '/x' }],
  ])('%s', async (_what, octets, expected) => {
    expect(await served(octets)).toMatchObject(expected);
  });

  test('many fields, of which none gets lost', async () => {
    const lines = Array.from({ length: 1_200 }, (_, i) => `${i}:`);
    await using wide = await new RawEdge().listen({ headerLimit: 64 * 1024 });
    const wanted = 'Connection: x-secret\r\nX-Secret: 1';
    const answer = await wide.exchange(text({ more: `${lines.join('\r\n')}\r\n${wanted}` }) + next);
    expect(answer).toMatch(/^HTTP\/1\.1 200 /);
    expect(wide.origin.complaints).toEqual([]);
    const names = wide.origin.requests[0]?.fields.map(([name]) => name) ?? [];
    expect(names.filter(name => /^\d+$/.test(name))).toHaveLength(1_200);
    expect(names).not.toContain('x-secret');
  });
});

describe('what the origin is told', () => {
  const fieldsOf = async (more: string, at = 'GET /x HTTP/1.1') => (await served(text({ line: at, more }))).fields;

  test.each([
    ['Connection: x-hop, close-x\r\nX-Hop: 1', 'x-hop'],
    ['Connection: X-HOP\r\nConnection: other\r\nx-hop: 1', 'x-hop'],
    ['Keep-Alive: timeout=5', 'keep-alive'],
    ['Proxy-Connection: keep-alive', 'proxy-connection'],
    ['TE: trailers', 'te'],
    ['Trailer: X', 'trailer'],
    ['Upgrade: x', 'upgrade'],
    ['Proxy-Authorization: Basic x', 'proxy-authorization'],
    ['HTTP2-Settings: AAMA', 'http2-settings'],
    ['X-Real-IP: 6.6.6.6', 'x-real-ip'],
    ['X-Client-IP: 6.6.6.6', 'x-client-ip'],
    ['True-Client-IP: 6.6.6.6', 'true-client-ip'],
    ['X-Forwarded-Port: 443', 'x-forwarded-port'],
    ['Content_Length: 5', 'content_length'],
    ['Transfer_Encoding: chunked', 'transfer_encoding'],
    ['X_Forwarded_For: 6.6.6.6', 'x_forwarded_for'],
  ])('is not %j (RFC 9110 §7.6.1)', async (more, name) => {
    expect((await fieldsOf(more)).map(([each]) => each)).not.toContain(name);
  });

  test('is not what a client says of itself as if it were a proxy (RFC 7239 §8.1)', async () => {
    const fields = await fieldsOf('X-Forwarded-For: 6.6.6.6\r\nForwarded: for=6.6.6.6\r\nX-Forwarded-Proto: https');
    expect(valuesOf(fields, 'x-forwarded-for')).toEqual(['127.0.0.1']);
    expect(valuesOf(fields, 'x-forwarded-proto')).toEqual(['http']);
    expect(valuesOf(fields, 'forwarded')).toEqual(['for=127.0.0.1;host=a.example;proto=http']);
  });

  test('is the path that the message took (RFC 9110 §7.6.3)', async () => {
    expect(valuesOf(await fieldsOf('Via: 1.0 fred'), 'via')).toEqual(['1.0 fred', '1.1 warren']);
  });

  test('is the protocol that the client spoke, in Via', async () => {
    const fields = await fieldsOf('Connection: keep-alive', 'GET /x HTTP/1.0');
    expect(valuesOf(fields, 'via')).toEqual(['1.0 warren']);
  });

  test('is the authority of the absolute form, not Host (RFC 9112 §3.2.2: MUST)', async () => {
    const fields = await fieldsOf('', 'GET http://b.example/x HTTP/1.1');
    expect(valuesOf(fields, 'host')).toEqual(['b.example']);
  });

  test('is that a field may not be taken away that the message needs (RFC 9110 §7.6.1)', async () => {
    const fields = await fieldsOf('Connection: host, authorization\r\nAuthorization: x');
    expect(valuesOf(fields, 'host')).toEqual(['a.example']);
    expect(valuesOf(fields, 'authorization')).toEqual(['x']);
  });

  test.each([
    ['5', '4'],
    ['1', '0'],
    ['99999999999999999999', '998'],
  ])('is Max-Forwards %s of OPTIONS as %s (RFC 9110 §7.6.2: MUST)', async (given, forwarded) => {
    const fields = await fieldsOf(`Max-Forwards: ${given}`, 'OPTIONS /x HTTP/1.1');
    expect(valuesOf(fields, 'max-forwards')).toEqual([forwarded]);
  });
});

describe('answered by the proxy itself, and the connection goes on:', () => {
  test.each<[what: string, octets: string, status: number]>([
    ['OPTIONS * (RFC 9110 §9.3.7)', line('OPTIONS * HTTP/1.1'), 204],
    ['OPTIONS of a whole site in the absolute form (RFC 9112 §3.2.4)', line('OPTIONS http://a.example HTTP/1.1'), 204],
    [
      'OPTIONS that may go no further (RFC 9110 §7.6.2: MUST NOT forward)',
      text({ line: 'OPTIONS /x HTTP/1.1', more: 'Max-Forwards: 0' }),
      204,
    ],
    ['TRACE (RFC 9110 §9.3.8)', line('TRACE /x HTTP/1.1'), 405],
    ['TRACE that may go no further', text({ line: 'TRACE /x HTTP/1.1', more: 'Max-Forwards: 0' }), 405],
    ['an unknown expectation (RFC 9110 §10.1.1)', field('Expect: 200-ok'), 417],
  ])('%s: %i', async (_what, octets, status) => {
    const { responses } = parseResponses(await edge.exchange(octets + next), []);
    expect(responses.map(each => each.status)).toEqual([status, 200]);
    expect(edge.origin.requests.map(({ target }) => target)).toEqual(['/next']);
  });
});

describe('a connection', () => {
  test.each<[what: string, octets: string]>([
    ['close (RFC 9112 §9.6)', field('Connection: close')],
    ['close among others', field('Connection: x, CLOSE')],
    ['close in a second line', field('Connection: x\r\nConnection: close')],
    ['close and keep-alive', field('Connection: close, keep-alive')],
    ['HTTP/1.0', line('GET /x HTTP/1.0')],
    ['HTTP/1.0 with close and keep-alive', text({ line: 'GET /x HTTP/1.0', more: 'Connection: keep-alive, close' })],
    [
      'HTTP/1.0 and Proxy-Connection (RFC 9112 §C.2.2)',
      text({ line: 'GET /x HTTP/1.0', more: 'Proxy-Connection: keep-alive' }),
    ],
  ])('with a last request, by %s: it is answered, and nothing behind it is one', async (_what, octets) => {
    for (const behind of [smuggled, 'garbage\r\n\r\n', 'x'.repeat(100_000)]) {
      const { responses, rest } = parseResponses(await edge.exchange(octets + behind), []);
      expect(rest).toBe('');
      expect(responses.map(({ status }) => status)).toEqual([200]);
      expect(valuesOf(responses[0]?.fields ?? [], 'connection')).toEqual(['close']);
    }
    expect(edge.origin.requests.map(({ target }) => target)).toEqual(['/x', '/x', '/x']);
  });

  test('whose third request is garbage gets its answers first, in order (RFC 9112 §9.3.2)', async () => {
    const octets = text({}) + post('Content-Length: 5', 'hello');
    const { responses, rest } = parseResponses(
      await edge.exchange(`${octets}GET /\x00 HTTP/1.1\r\n\r\n${smuggled}`),
      [],
    );
    expect(rest).toBe('');
    expect(responses.map(({ status }) => status)).toEqual([200, 200, 400]);
    expect(edge.origin.requests.map(({ method }) => method)).toEqual(['GET', 'POST']);
  });

  test('may send many requests ahead, more than are read at once (RFC 9112 §9.3.2)', async () => {
    const count = 300;
    edge.origin.answer = ({ target }) => `HTTP/1.1 200 OK\r\nContent-Length: 3000\r\n\r\n${target.padEnd(3_000)}`;
    const asked = Array.from({ length: count }, (_, i) => line(`GET /${i} HTTP/1.1`)).join('');
    const { responses } = parseResponses(await edge.exchange(asked + next), []);
    edge.origin.answer = () => 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';
    expect(responses.map(({ body }) => body.trim())).toEqual([
      ...Array.from({ length: count }, (_, i) => `/${i}`),
      '/next',
    ]);
  });

  test('that ends after its request is answered (TCP’s half-close)', async () => {
    const answer = await edge.finish(text({}));
    expect(answer).toMatch(/^HTTP\/1\.1 200 /);
  });

  test.each([
    ['its head', 'GET /x HTTP/1.1\r\nHost: a.exam'],
    ['its body', post('Content-Length: 10', 'hello')],
    ['the body of what would be an upgrade', post('Connection: upgrade\r\nUpgrade: x\r\nContent-Length: 10', 'hello')],
    ['its chunks', chunked('5\r\nhello\r\n')],
    ['the size of a chunk', chunked('5\r\nhello\r\n1')],
  ])('that ends within %s is told so, and the origin gets nothing (RFC 9112 §8)', async (_what, octets) => {
    expect(await edge.finish(octets)).toMatch(/^HTTP\/1\.1 400 /);
    expect(edge.origin.requests).toEqual([]);
  });

  test('that ends before a request just closes', async () => {
    expect(await edge.finish('')).toBe('');
    expect(await edge.finish('\r\n')).toBe('');
  });
});
