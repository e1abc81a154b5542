import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Exchange, lookupOf, parseCacheControl, storageOf } from '../../services/proxy/cache-policy.ts';
import type { Fields } from '../../services/proxy/fields.ts';

const now = Date.UTC(2026, 0, 2, 12);
const dateNow = new Date(now).toUTCString();

/** One good exchange (GET, 200, fresh for a minute by its own word) with other fields or other circumstances. */
function stored(
  responseFields: Fields = ['Cache-Control', 'max-age=60'],
  { routeTtl, ...rest }: Partial<Exchange> & { routeTtl?: number } = {},
) {
  return storageOf({ method: 'GET', requestFields: [], status: 200, responseFields, ...rest }, routeTtl, now);
}

const lifetime = (...responseFields: string[]) => stored(responseFields)?.lifetimeMs;
const lookup = (...fields: string[]) => lookupOf('GET', fields);

describe('Cache-Control', () => {
  test.each([
    ['max-age=60, no-store', { 'max-age': '60', 'no-store': undefined }],
    ['MAX-AGE=60', { 'max-age': '60' }],
    ['max-age="60"', { 'max-age': '60' }],
    [' max-age=1 ,, ,public ', { 'max-age': '1', public: undefined }],
    ['private="set-cookie, x", max-age=1', { private: 'set-cookie, x', 'max-age': '1' }],
    ['ext="no-store, \\"private\\"", public', { ext: 'no-store, \\"private\\"', public: undefined }],
    ['max-age=10, max-age=20', { 'max-age': '10' }],
    ['no-storey', { 'no-storey': undefined }],
    ['', {}],
  ])('%j is read as RFC 9111 §5.2 says', (value, directives) => {
    expect(Object.fromEntries(parseCacheControl(value))).toEqual(directives);
  });

  test('with a quotation that never ends hides no directive behind it', () => {
    expect(parseCacheControl('ext="oops, no-store').has('no-store')).toBe(true);
  });

  test('is read whatever stands in it', () => {
    fc.assert(fc.property(fc.string(), text => void parseCacheControl(text)));
    fc.assert(
      fc.property(fc.string(), text => {
        // What comes first cannot be talked away by what follows.
        expect(parseCacheControl(`no-store, ${text}`).has('no-store')).toBe(true);
      }),
    );
  });
});

describe('what is stored', () => {
  test('is a 200 to GET with explicit freshness (RFC 9111 §3)', () => {
    expect(stored()).toEqual({ lifetimeMs: 60_000, ageMs: 0, vary: [], isPublic: false });
  });

  test('nothing without explicit freshness, unless the route gives a lifetime (DESIGN)', () => {
    expect(stored([])).toBeUndefined();
    expect(stored(['Last-Modified', 'Thu, 01 Jan 2015 00:00:00 GMT'])).toBeUndefined(); // no heuristics, §4.2.2
    expect(stored(['Cache-Control', 'public'])).toBeUndefined();
    expect(stored([], { routeTtl: 180 })?.lifetimeMs).toBe(180_000);
    expect(stored([], { routeTtl: 0 })).toBeUndefined();
  });

  test("the reply's own word goes before the route's (RFC 9111 §4.2.1)", () => {
    expect(stored(['Cache-Control', 'max-age=1'], { routeTtl: 180 })?.lifetimeMs).toBe(1_000);
    expect(stored(['Cache-Control', 'max-age=0'], { routeTtl: 180 })).toBeUndefined();
    expect(stored(['Expires', '0'], { routeTtl: 180 })).toBeUndefined();
  });

  test.each(['HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'get'])('is no answer to %s', method => {
    expect(stored(undefined, { method })).toBeUndefined();
  });

  test.each([[['Content-Length', '5']], [['transfer-encoding', 'chunked']]])(
    'is no answer to a GET with a body, %j: the next GET without it has the same key (RFC 9110 §9.3.1)',
    requestFields => {
      expect(stored(undefined, { requestFields })).toBeUndefined();
      expect(stored(undefined, { requestFields: ['Content-Length', '0'] })).toBeDefined();
    },
  );

  test.each([201, 203, 204, 206, 301, 304, 404, 410, 500])('is no %i (this issue stores 200s)', status => {
    expect(stored(undefined, { status })).toBeUndefined();
  });

  test.each([
    ['no-store', '§5.2.2.5'],
    ['private', '§5.2.2.7'],
    ['private="set-cookie"', '§5.2.2.7, read as private'],
    ['no-cache', '§5.2.2.4'],
    ['no-cache="set-cookie"', '§5.2.2.4, read as no-cache'],
    ['No-Store', '§5.2, case-insensitive'],
  ])('is nothing that says %s (RFC 9111 %s)', directive => {
    expect(stored(['Cache-Control', `${directive}, max-age=60`])).toBeUndefined();
    expect(stored(['Cache-Control', 'max-age=60, public', 'cache-control', directive])).toBeUndefined();
    expect(stored(['Cache-Control', directive], { routeTtl: 180 })).toBeUndefined();
  });

  test('is nothing that an HTTP/1.0 origin forbids with Pragma alone', () => {
    expect(stored(['Pragma', 'no-cache'], { routeTtl: 180 })).toBeUndefined();
    expect(stored(['Pragma', 'no-cache', 'Cache-Control', 'max-age=60'])).toBeDefined();
  });

  test('is nothing whose request says no-store (RFC 9111 §5.2.1.5)', () => {
    expect(stored(undefined, { requestFields: ['Cache-Control', 'no-store'] })).toBeUndefined();
  });

  test('is nothing that was asked for in part (RFC 9111 §3.3)', () => {
    expect(stored(undefined, { requestFields: ['Range', 'bytes=0-9'] })).toBeUndefined();
  });

  describe.each([
    ['a request with Authorization (RFC 9111 §3.5)', { requestFields: ['authorization', 'Basic x'] }, []],
    ['a request with Cookie (DESIGN)', { requestFields: ['Cookie', 'a=1'] }, []],
    ['a reply with Set-Cookie (RFC 9111 §7.3)', {}, ['Set-Cookie', 'a=1']],
  ])('of %s', (_what, circumstances, more) => {
    test('is nothing, unless it says that it is public', () => {
      const ways = [
        ['Cache-Control', 'max-age=60'],
        ['Cache-Control', 's-maxage=60'],
        ['Cache-Control', 'must-revalidate, max-age=60'],
        ['Cache-Control', 'ext="public", max-age=60'],
      ];
      for (const way of ways) expect(stored([...way, ...more], circumstances)).toBeUndefined();
      expect(stored(more, { ...circumstances, routeTtl: 180 })).toBeUndefined();
      expect(stored(['Cache-Control', 'public, max-age=60', ...more], circumstances)).toMatchObject({ isPublic: true });
    });
  });
});

describe('Vary', () => {
  test('names the fields that are part of the key, on any number of lines (RFC 9111 §4.1)', () => {
    const vary = ['Vary', 'Accept-Encoding , ACCEPT', 'vary', ',Accept-Language'];
    expect(stored(['Cache-Control', 'max-age=60', ...vary])?.vary).toEqual([
      'accept-encoding',
      'accept',
      'accept-language',
    ]);
  });

  test.each(['*', 'Accept, *', ' * '])('%j matches no other request (RFC 9111 §4.1)', vary => {
    expect(stored(['Cache-Control', 'public, max-age=60', 'Vary', vary])).toBeUndefined();
  });

  test.each(['X-Forwarded-For', 'Forwarded', 'x-forwarded-proto', 'X-Forwarded-Host', 'Via'])(
    'on %s, which the upstream saw otherwise than the client sent it, selects nothing (RFC 9111 §4.1)',
    name => {
      expect(stored(['Cache-Control', 'max-age=60', 'Vary', `Accept, ${name}`])).toBeUndefined();
    },
  );

  test('on a field that Connection took away selects nothing (RFC 9111 §4.1)', () => {
    const requestFields = ['Connection', 'x-tenant', 'X-Tenant', 'blue'];
    expect(stored(['Cache-Control', 'max-age=60', 'Vary', 'X-Tenant'], { requestFields })).toBeUndefined();
    expect(stored(['Cache-Control', 'max-age=60', 'Vary', 'Accept'], { requestFields })).toBeDefined();
  });
});

describe('freshness', () => {
  test('is told by s-maxage before max-age before Expires (RFC 9111 §4.2.1)', () => {
    const expires = ['Date', dateNow, 'Expires', new Date(now + 30_000).toUTCString()];
    expect(lifetime('Cache-Control', 'max-age=10, s-maxage=20', ...expires)).toBe(20_000);
    expect(lifetime('Cache-Control', 'max-age=10', ...expires)).toBe(10_000);
    expect(lifetime(...expires)).toBe(30_000);
  });

  test('by Expires counts from Date, not from our clock (RFC 9111 §4.2.1)', () => {
    const date = new Date(now - 3_600_000).toUTCString();
    const expires = new Date(now - 3_600_000 + 45_000).toUTCString();
    expect(lifetime('Date', date, 'Expires', expires)).toBe(45_000);
    expect(lifetime('Expires', new Date(now + 45_000).toUTCString())).toBe(45_000);
    expect(lifetime('Date', 'garbage', 'Expires', new Date(now + 45_000).toUTCString())).toBe(45_000);
    expect(lifetime('Date', dateNow, 'Expires', dateNow)).toBeUndefined();
  });

  test.each([
    ['IMF-fixdate', 'Fri, 02 Jan 2026 12:01:00 GMT'],
    ['RFC 850', 'Friday, 02-Jan-26 12:01:00 GMT'],
    ['asctime', 'Fri Jan  2 12:01:00 2026'],
  ])('by Expires in %s form (RFC 9110 §5.6.7)', (_form, expires) => {
    expect(lifetime('Date', dateNow, 'Expires', expires)).toBe(60_000);
  });

  // "A cache recipient MUST interpret invalid date formats, especially the value "0", as representing a time in the past."
  test.each([
    '0',
    '-1',
    '',
    'never',
    '2099',
    '2099-01-01',
    '2099-01-01T00:00:00Z',
    '99999',
    'tomorrow 2099',
    'Fri, 02 Jan 2099 12:01:00',
    'Fri, 02 Jan 2099 12:01:00 +0100',
    'Fri, 02 Jan 2099 12:01:00 GMT, Sat, 03 Jan 2099 12:01:00 GMT',
    'Fri, 42 Jan 2099 12:01:00 GMT',
    String(now + 60_000),
  ])('by Expires: %j is past (RFC 9111 §5.3)', expires => {
    expect(stored(['Expires', expires], { routeTtl: 180 })).toBeUndefined();
  });

  // "Caches are encouraged to consider responses that have invalid freshness information [...] to be stale."
  test.each([
    'max-age',
    'max-age=',
    'max-age=-1',
    'max-age=1.5',
    'max-age=abc',
    'max-age=60s',
    'max-age=0x10',
    's-maxage=x, max-age=60',
    'max-age=0, max-age=60',
  ])('by %s is invalid, so stale (RFC 9111 §4.2.1)', cacheControl => {
    expect(stored(['Cache-Control', cacheControl], { routeTtl: 180 })).toBeUndefined();
  });

  test('longer than can be counted is 2^31 seconds (RFC 9111 §1.2.2)', () => {
    expect(lifetime('Cache-Control', 'max-age=99999999999999999999')).toBe(2 ** 31 * 1000);
  });

  test.each([
    ['59', 59_000],
    ['0', 0],
    ['7, 20', 7_000],
    ['-1', 0],
    ['soon', 0],
    ['1.5', 0],
  ])('is used up by Age: %s (RFC 9111 §4.2.3, §5.1)', (age, ageMs) => {
    expect(stored(['Cache-Control', 'max-age=60', 'Age', age])?.ageMs).toBe(ageMs);
  });

  test('is over when Age has reached it (RFC 9111 §4.2)', () => {
    expect(stored(['Cache-Control', 'max-age=60', 'Age', '60'])).toBeUndefined();
    expect(stored(['Age', '180'], { routeTtl: 180 })).toBeUndefined();
  });
});

describe('a request', () => {
  test('is answered from what is stored', () => {
    expect(lookup('Accept', '*/*')).toEqual({
      use: 'any',
      maxAgeSeconds: Number.POSITIVE_INFINITY,
      onlyIfCached: false,
      forward: 'miss',
    });
    expect(lookupOf('HEAD', []).use).toBe('any'); // RFC 9111 §4: a GET's response answers HEAD
  });

  test.each(['POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS', 'head'])(
    'by %s goes to the upstream (RFC 9111 §4; fwd=method, RFC 9211 §2.2)',
    method => {
      expect(lookupOf(method, [])).toMatchObject({ use: 'none', forward: 'method' });
    },
  );

  test('for a part goes to the upstream (RFC 9111 §3.3; fwd=bypass)', () => {
    expect(lookup('range', 'bytes=0-1')).toMatchObject({ use: 'none', forward: 'bypass' });
  });

  test.each(['Authorization', 'cookie'])('with %s gets only what is for everybody (DESIGN)', name => {
    expect(lookup(name, 'x')).toMatchObject({ use: 'public', forward: 'bypass' });
  });

  test.each([
    ['Cache-Control', 'no-cache', '§5.2.1.4'],
    ['Cache-Control', 'no-store', '§5.2.1.5'],
    ['Cache-Control', 'max-age=60, No-Cache', '§5.2.1.4'],
    ['Pragma', 'no-cache', '§5.4'],
    ['pragma', 'x, NO-CACHE', '§5.4'],
  ])('with %s: %s goes to the upstream (RFC 9111 %s; fwd=request)', (name, value) => {
    expect(lookup(name, value)).toMatchObject({ use: 'none', forward: 'request' });
  });

  test('with Cache-Control has no Pragma (RFC 9111 §5.4)', () => {
    expect(lookup('Pragma', 'no-cache', 'Cache-Control', 'max-age=5')).toMatchObject({ use: 'any', maxAgeSeconds: 5 });
  });

  test.each([
    ['max-age=5', 5],
    ['max-age=0', 0],
    ['max-age=x', Number.POSITIVE_INFINITY],
    ['min-fresh=1', Number.POSITIVE_INFINITY],
  ])('with %s takes answers that old (RFC 9111 §5.2.1.1)', (value, maxAgeSeconds) => {
    expect(lookup('Cache-Control', value)).toMatchObject({ use: 'any', maxAgeSeconds });
  });

  test('with only-if-cached is not forwarded (RFC 9111 §5.2.1.7)', () => {
    expect(lookup('Cache-Control', 'only-if-cached')).toMatchObject({ use: 'any', onlyIfCached: true });
    expect(lookupOf('POST', ['Cache-Control', 'only-if-cached']).onlyIfCached).toBe(false);
    expect(lookup('Cache-Control', 'no-cache, only-if-cached')).toMatchObject({ use: 'none', onlyIfCached: true });
    expect(lookup('Cache-Control', 'only-if-cached', 'Cookie', 'a=1')).toMatchObject({
      use: 'public',
      onlyIfCached: true,
    });
  });
});

test('credentials never make anything more cachable, whatever the rest (DESIGN)', () => {
  const directive = fc.constantFrom(
    'max-age=60',
    's-maxage=60',
    'public',
    'private',
    'no-store',
    'no-cache',
    'x="public"',
  );
  const line = fc.array(directive, { minLength: 1, maxLength: 4 }).map(list => ['Cache-Control', list.join(', ')]);
  const credential = fc.constantFrom(['Cookie', 'a=1'], ['AUTHORIZATION', 'Bearer x']);
  fc.assert(
    fc.property(fc.array(line, { maxLength: 3 }), credential, fc.option(fc.nat(300)), (lines, extra, ttl) => {
      const circumstances = ttl === null ? {} : { routeTtl: ttl };
      const without = stored(lines.flat(), circumstances);
      const withIt = stored(lines.flat(), { ...circumstances, requestFields: extra });
      if (withIt) expect(withIt).toEqual({ ...without, isPublic: true });
    }),
  );
});
