import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  type Fields,
  firstOf,
  isRewritten,
  listOf,
  type Peer,
  requestFields,
  responseFields,
} from '../../services/proxy/fields.ts';

const stranger: Peer = { address: '203.0.113.7', scheme: 'http', isTrusted: false };
const friend: Peer = { ...stranger, address: '10.0.0.1', isTrusted: true };

/** What a good request has, plus more lines. */
function request(...more: string[]): Fields {
  return ['Host', 'shop.example', 'Accept', 'text/html', ...more];
}

const toUpstream = (fields: Fields, peer = stranger): string[] => requestFields(fields, '1.1', peer);
const toClient = (fields: Fields): string[] => responseFields(fields, false);

/** Every value of a field, in order. */
function valuesOf(fields: Fields, name: string): string[] {
  return fields.filter((_, i) => i % 2 === 1 && fields[i - 1]?.toLowerCase() === name);
}

function namesOf(fields: Fields): string[] {
  return fields.filter((_, i) => i % 2 === 0).map(name => name.toLowerCase());
}

const directions = [
  ['a request', (fields: Fields) => toUpstream(request(...fields))],
  ['a response', (fields: Fields) => toClient(fields)],
] as const;

describe.each(directions)('of %s', (_what, pass) => {
  test.each([
    'Connection',
    'Keep-Alive',
    'Proxy-Connection',
    'Proxy-Authenticate',
    'Proxy-Authentication-Info',
    'Proxy-Authorization',
    'TE',
    'Trailer',
    'Transfer-Encoding',
    'Upgrade',
    'HTTP2-Settings',
  ])('%s stays on its own connection (RFC 9110 §7.6.1, §11.7; RFC 7540 §3.2.1)', name => {
    for (const form of [name, name.toLowerCase(), name.toUpperCase()]) {
      expect(namesOf(pass([form, 'x', 'X-Kept', '1']))).not.toContain(name.toLowerCase());
    }
  });

  test('Content-Length is dropped: each side frames anew (RFC 9112 §6)', () => {
    expect(namesOf(pass(['Content-Length', '7']))).not.toContain('content-length');
  });

  test('fields that Connection names go with it, however they are written (RFC 9110 §7.6.1)', () => {
    const names = namesOf(
      pass(['Connection', 'close, X-Hop ,,x-HOP-2', 'X-Hop', 'a', 'x-hop-2', 'b', 'X-HOP', 'c', 'X-Kept', 'd']),
    );
    expect(names).toContain('x-kept');
    for (const name of ['x-hop', 'x-hop-2', 'connection']) expect(names).not.toContain(name);
  });

  test('several Connection lines are one list (RFC 9110 §5.3)', () => {
    const names = namesOf(pass(['X-A', '1', 'Connection', 'x-a', 'X-B', '2', 'connection', 'keep-alive, X-B']));
    expect(names).not.toContain('x-a');
    expect(names).not.toContain('x-b');
  });

  // "A sender MUST NOT send a connection option corresponding to a field that is intended for all recipients of the content."
  test.each([
    'Host',
    'Date',
    'Content-Type',
    'Content-Encoding',
    'Content-Range',
    'Set-Cookie',
    'Authorization',
    'Cookie',
    'Via',
    'Cache-Control',
    'Pragma',
    'Expires',
    'Age',
    'Vary',
    'ETag',
    'Last-Modified',
    'Range',
    'If-Range',
    'If-Match',
    'If-None-Match',
    'If-Modified-Since',
    'If-Unmodified-Since',
    'Idempotency-Key',
  ])('Connection cannot take %s away (RFC 9110 §7.6.1)', name => {
    expect(valuesOf(pass(['Connection', name, name, 'value']), name.toLowerCase())).toContain('value');
  });

  test('Via gets one more member, behind those that came (RFC 9110 §7.6.3)', () => {
    expect(valuesOf(pass([]), 'via')).toEqual(['1.1 warren']);
    expect(valuesOf(pass(['Via', '1.0 fred', 'via', '1.1 p.example']), 'via')).toEqual([
      '1.0 fred',
      '1.1 p.example',
      '1.1 warren',
    ]);
  });

  test('order, letter case, duplicates and empty values are kept (RFC 9110 §5.3)', () => {
    const sent = ['X-B', '2', 'x-a', '1', 'X-b', '', 'SET-cookie', 'a=1', 'Set-Cookie', 'a=1', 'x-a', '1'];
    const passed = pass(sent);
    expect(passed.join('\n')).toContain(sent.join('\n'));
  });

  test('bytes above ASCII are kept as they came (RFC 9110 §5.5, obs-text)', () => {
    const latin1 = Buffer.from(Array.from({ length: 128 }, (_, i) => i + 128)).toString('latin1');
    expect(valuesOf(pass(['X-Name', latin1]), 'x-name')).toEqual([latin1]);
  });
});

test('the Via of a request says by which version it came (RFC 9110 §7.6.3)', () => {
  expect(valuesOf(requestFields(request(), '1.0', stranger), 'via')).toEqual(['1.0 warren']);
});

test('Expect is answered here and not passed on (RFC 9110 §10.1.1)', () => {
  expect(namesOf(toUpstream(request('Expect', '100-continue')))).not.toContain('expect');
});

test('a response without a body keeps the length of the one it speaks of (RFC 9110 §8.6, HEAD and 304)', () => {
  expect(valuesOf(responseFields(['Content-Length', '7'], true), 'content-length')).toEqual(['7']);
});

describe('who the client is', () => {
  test('is told in the four usual fields (RFC 7239 §5)', () => {
    expect(toUpstream(request()).slice(4, -2)).toEqual([
      'X-Forwarded-For',
      '203.0.113.7',
      'X-Forwarded-Proto',
      'http',
      'X-Forwarded-Host',
      'shop.example',
      'Forwarded',
      'for=203.0.113.7;host=shop.example;proto=http',
    ]);
  });

  test('cannot be hidden by Connection: these fields are made here', () => {
    const hidden = request('Connection', 'X-Forwarded-For, X-Forwarded-Proto, X-Forwarded-Host, Forwarded');
    expect(toUpstream(hidden)).toEqual(toUpstream(request()));
  });

  const claimed = request(
    'X-Forwarded-For',
    '198.51.100.1',
    'x-forwarded-for',
    '198.51.100.2',
    'X-Forwarded-Proto',
    'https',
    'X-Forwarded-Host',
    'bank.example',
    'Forwarded',
    'for=198.51.100.1;proto=https',
    'forwarded',
    'for="[2001:db8::1]"',
  );

  test('counts only from trusted addresses: what a stranger claims is replaced (RFC 7239 §8.1)', () => {
    expect(toUpstream(claimed)).toEqual(toUpstream(request()));
  });

  test('is appended to what a trusted address says (RFC 7239 §4, §5.2)', () => {
    const fields = toUpstream(claimed, friend);
    expect(valuesOf(fields, 'x-forwarded-for')).toEqual(['198.51.100.1, 198.51.100.2, 10.0.0.1']);
    expect(valuesOf(fields, 'x-forwarded-proto')).toEqual(['https']);
    expect(valuesOf(fields, 'x-forwarded-host')).toEqual(['bank.example']);
    expect(valuesOf(fields, 'forwarded')).toEqual([
      'for=198.51.100.1;proto=https, for="[2001:db8::1]", for=10.0.0.1;host=shop.example;proto=http',
    ]);
  });

  test.each([
    ['2001:db8:cafe::17', '2001:db8:cafe::17', '"[2001:db8:cafe::17]"'],
    ['::1', '::1', '"[::1]"'],
    ['::ffff:192.0.2.43', '192.0.2.43', '192.0.2.43'],
    ['', 'unknown', 'unknown'],
  ])('at %j is written as RFC 7239 §6 has it', (address, plain, node) => {
    const fields = toUpstream(request(), { ...stranger, address });
    expect(valuesOf(fields, 'x-forwarded-for')).toEqual([plain]);
    expect(firstOf(fields, 'forwarded')).toBe(`for=${node};host=shop.example;proto=http`);
  });

  test.each([
    ['shop.example', 'shop.example'],
    ['shop.example:8080', '"shop.example:8080"'],
    ['[2001:db8::1]:80', '"[2001:db8::1]:80"'],
    ['a"b\\c', '"a\\"b\\\\c"'],
    ['', '""'],
  ])('asked for host %j: anything but a token is quoted (RFC 7239 §4)', (host, written) => {
    expect(firstOf(toUpstream(['Host', host]), 'forwarded')).toBe(`for=203.0.113.7;host=${written};proto=http`);
  });

  test('cannot break out of its parameter, whatever the host (RFC 7239 §4)', () => {
    const host = fc.string({ unit: fc.integer({ min: 0x20, max: 0xff }).map(code => String.fromCharCode(code)) });
    fc.assert(
      fc.property(host, text => {
        const said = firstOf(toUpstream(['Host', text]), 'forwarded') ?? '';
        const parts = /^for=203\.0\.113\.7;host=(?:([\w.-]+)|"((?:[^"\\]|\\.)*)");proto=http$/s.exec(said);
        expect(parts?.[1] ?? parts?.[2]?.replaceAll(/\\(.)/gs, '$1')).toBe(text);
      }),
    );
  });
});

test('end-to-end fields reach the upstream untouched and in order, whatever they are (RFC 9110 §5.3)', () => {
  const special =
    /^(?:connection|keep-alive|proxy-.*|te|trailer|transfer-encoding|upgrade|content-length|expect|http2-settings|forwarded|x-forwarded-.*|host)$/i;
  const name = fc.stringMatching(/^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,12}$/).filter(text => !special.test(text));
  const value = fc.string({ unit: fc.integer({ min: 0x21, max: 0xff }).map(code => String.fromCharCode(code)) });
  fc.assert(
    fc.property(fc.array(fc.tuple(name, value)), lines => {
      const sent = lines.flat();
      expect(toUpstream(sent).slice(0, sent.length)).toEqual(sent);
      expect(toClient(sent)).toEqual([...sent, 'Via', '1.1 warren']);
    }),
  );
});

test('what the upstream sees otherwise than the client sent it: what is made here, and what Connection takes away', () => {
  for (const name of ['via', 'forwarded', 'x-forwarded-for', 'x-forwarded-proto', 'x-forwarded-host']) {
    expect(isRewritten([], name)).toBe(true);
  }
  for (const name of ['accept', 'host', 'connection']) expect(isRewritten(['Connection', 'close'], name)).toBe(false);
  expect(isRewritten(['Connection', 'close, X-Hop'], 'x-hop')).toBe(true);
  expect(isRewritten(['Connection', 'Accept-Language, Cookie'], 'cookie')).toBe(false);
});

test('a list field on several lines is one list, a single one its first line (RFC 9110 §5.3)', () => {
  const fields = ['Accept', 'a', 'ACCEPT', 'b, c', 'Accepts', 'd'];
  expect(listOf(fields, 'accept')).toBe('a, b, c');
  expect(firstOf(fields, 'accept')).toBe('a');
  expect(listOf(fields, 'via')).toBeUndefined();
  expect(firstOf(fields, 'via')).toBeUndefined();
  expect(listOf(['Vary', ''], 'vary')).toBe('');
});
