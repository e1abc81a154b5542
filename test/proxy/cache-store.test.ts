import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Lookup, Storage } from '../../services/proxy/cache-policy.ts';
import { CacheStore, etagMatches, storedResponse } from '../../services/proxy/cache-store.ts';
import { type Fields, firstOf } from '../../services/proxy/fields.ts';

const anything: Lookup = { use: 'any', maxAgeSeconds: Number.POSITIVE_INFINITY, onlyIfCached: false, forward: 'miss' };
const aMinute: Storage = { lifetimeMs: 60_000, ageMs: 0, vary: [], isPublic: false };
const roomy = 1024 * 1024;

/** A store whose clock stands where the test says. */
class Scene {
  readonly store: CacheStore;
  now = 1_000_000;

  constructor(capacity = roomy) {
    this.store = new CacheStore(capacity);
  }

  put(key: string, text: string, storage: Partial<Storage> = {}, request: Fields = []): void {
    const response = storedResponse(200, ['Content-Type', 'text/plain'], Buffer.from(text));
    this.store.put(key, request, { ...aMinute, ...storage }, response, this.now);
  }

  find(key: string, request: Fields = [], lookup: Partial<Lookup> = {}) {
    return this.store.find(key, request, { ...anything, ...lookup }, this.now);
  }

  /** The body found, or undefined. */
  text(key: string, request: Fields = [], lookup: Partial<Lookup> = {}): string | undefined {
    return this.find(key, request, lookup)?.response.body.toString();
  }
}

describe('a stored response', () => {
  test('answers until its lifetime is over, and says how old it is and how long it lasts (RFC 9111 §4.2)', () => {
    const scene = new Scene();
    scene.put('/a', 'hello');
    expect(scene.find('/a')).toMatchObject({ ageSeconds: 0, ttlSeconds: 60 });
    scene.now += 1_999;
    expect(scene.find('/a')).toMatchObject({ ageSeconds: 1, ttlSeconds: 59 });
    scene.now += 58_000;
    expect(scene.find('/a')).toMatchObject({ ageSeconds: 59, ttlSeconds: 1 });
    scene.now += 1;
    expect(scene.find('/a')).toBeUndefined();
    expect(scene.store).toMatchObject({ entries: 0, bytes: 0 });
  });

  test('has the age that it came with (RFC 9111 §4.2.3)', () => {
    const scene = new Scene();
    scene.put('/a', 'hello', { ageMs: 20_000 });
    expect(scene.find('/a')).toMatchObject({ ageSeconds: 20, ttlSeconds: 40 });
    scene.now += 40_000;
    expect(scene.find('/a')).toBeUndefined();
  });

  test('does not answer who wants a younger one, and stays for others (RFC 9111 §5.2.1.1)', () => {
    const scene = new Scene();
    scene.put('/a', 'hello');
    scene.now += 10_999;
    expect(scene.text('/a', [], { maxAgeSeconds: 9 })).toBeUndefined();
    expect(scene.text('/a', [], { maxAgeSeconds: 10 })).toBe('hello');
  });

  test('answers who carries credentials only when it is public', () => {
    const scene = new Scene();
    scene.put('/a', 'private');
    scene.put('/b', 'public', { isPublic: true });
    expect(scene.text('/a', [], { use: 'public' })).toBeUndefined();
    expect(scene.text('/b', [], { use: 'public' })).toBe('public');
    expect(scene.text('/b')).toBe('public');
    expect(scene.text('/b', [], { use: 'none' })).toBeUndefined();
  });

  test('is replaced by the next for the same request (RFC 9111 §4)', () => {
    const scene = new Scene();
    scene.put('/a', 'old');
    const { bytes } = scene.store;
    scene.put('/a', 'new');
    expect(scene.text('/a')).toBe('new');
    expect(scene.store).toMatchObject({ entries: 1, bytes });
  });

  test('belongs to its key alone', () => {
    const scene = new Scene();
    scene.put('http://a/x?1', 'one');
    for (const key of ['http://a/x', 'http://a/x?', 'http://A/x?1', 'http://a/X?1'])
      expect(scene.text(key)).toBeUndefined();
  });

  test('has the length of its body, and no Age of its own: a hit makes one (RFC 9111 §4, §5.1)', () => {
    const { fields, etag } = storedResponse(200, ['Age', '7', 'ETag', '"v1"', 'age', '8'], Buffer.from('hello'));
    expect(fields).toEqual(['ETag', '"v1"', 'Content-Length', '5']);
    expect(etag).toBe('"v1"');
    expect(storedResponse(200, [], Buffer.alloc(0)).etag).toBeUndefined();
  });

  test('is counted as a hit, everything else as a miss', () => {
    const scene = new Scene();
    scene.put('/a', 'hello');
    scene.find('/a');
    scene.find('/b');
    scene.find('/a', [], { use: 'none' });
    expect(scene.store).toMatchObject({ hits: 1, misses: 2 });
  });
});

describe('variants (RFC 9111 §4.1)', () => {
  const onLanguage = { vary: ['accept-language'] };

  test('are selected by the request fields that Vary names', () => {
    const scene = new Scene();
    scene.put('/a', 'hallo', onLanguage, ['Accept-Language', 'de']);
    scene.put('/a', 'hello', onLanguage, ['Accept-Language', 'en']);
    scene.put('/a', 'none', onLanguage);
    scene.put('/a', 'empty', onLanguage, ['Accept-Language', '']);
    expect(scene.text('/a', ['accept-language', 'de', 'X-Other', '1'])).toBe('hallo');
    expect(scene.text('/a', ['Accept-Language', 'en'])).toBe('hello');
    expect(scene.text('/a')).toBe('none');
    expect(scene.text('/a', ['Accept-Language', ''])).toBe('empty');
    expect(scene.text('/a', ['Accept-Language', 'fr'])).toBeUndefined();
  });

  test('take lines of a field as one list', () => {
    const scene = new Scene();
    scene.put('/a', 'both', onLanguage, ['Accept-Language', 'de', 'accept-language', 'en']);
    expect(scene.text('/a', ['Accept-Language', 'de, en'])).toBe('both');
    expect(scene.text('/a', ['Accept-Language', 'de'])).toBeUndefined();
  });

  test('need all of the fields named', () => {
    const scene = new Scene();
    scene.put('/a', 'x', { vary: ['a', 'b'] }, ['A', '1', 'B', '2']);
    expect(scene.text('/a', ['B', '2', 'A', '1'])).toBe('x');
    expect(scene.text('/a', ['A', '1'])).toBeUndefined();
    expect(scene.text('/a', ['A', '1', 'B', '3'])).toBeUndefined();
  });

  test('of which several would do: the newest is used', () => {
    const scene = new Scene();
    scene.put('/a', 'for de', onLanguage, ['Accept-Language', 'de']);
    scene.put('/a', 'for all', {}, ['Accept-Language', 'en']);
    expect(scene.text('/a', ['Accept-Language', 'de'])).toBe('for all');
  });

  test('a stale one does not hide a fresh one behind it', () => {
    const scene = new Scene();
    scene.put('/a', 'long', { lifetimeMs: 90_000, vary: ['x'] }, ['X', '1']);
    scene.put('/a', 'short', onLanguage, ['Accept-Language', 'de']);
    expect(scene.text('/a', ['Accept-Language', 'de', 'X', '1'])).toBe('short');
    scene.now += 60_000;
    expect(scene.text('/a', ['Accept-Language', 'de', 'X', '1'])).toBe('long');
  });

  test('are few: the newest 32 of a target', () => {
    const scene = new Scene();
    for (let i = 0; i < 40; i++) scene.put('/a', String(i), { vary: ['x'] }, ['X', String(i)]);
    expect(scene.store.entries).toBe(32);
    expect(scene.text('/a', ['X', '7'])).toBeUndefined();
    expect(scene.text('/a', ['X', '8'])).toBe('8');
    expect(scene.text('/a', ['X', '39'])).toBe('39');
  });

  test('weigh what the request fields weigh that they are selected by', () => {
    const scene = new Scene(16 * 1024);
    scene.put('/a', '', { vary: ['x'] }, ['X', 'x'.repeat(10_000)]);
    expect(scene.store.bytes).toBeGreaterThan(10_000);
    scene.put('/a', '', { vary: ['x'] }, ['X', 'y'.repeat(10_000)]);
    expect(scene.store.entries).toBe(1);
  });

  test('all go when the target is changed (RFC 9111 §4.4)', () => {
    const scene = new Scene();
    scene.put('/a', 'de', onLanguage, ['Accept-Language', 'de']);
    scene.put('/a', 'en', onLanguage, ['Accept-Language', 'en']);
    scene.put('/b', 'other');
    scene.store.invalidate('/a');
    scene.store.invalidate('/never-seen');
    expect(scene.store.entries).toBe(1);
    expect(scene.text('/a', ['Accept-Language', 'de'])).toBeUndefined();
    expect(scene.text('/b')).toBe('other');
  });
});

describe('the capacity', () => {
  const body = 'x'.repeat(1_000);

  test('is kept by dropping what was least recently used', () => {
    const scene = new Scene(8_400); // three of them
    for (const key of ['/a', '/b', '/c']) scene.put(key, body);
    expect(scene.store.entries).toBe(3);
    scene.find('/a');
    scene.put('/d', body);
    expect(scene.text('/b')).toBeUndefined();
    for (const key of ['/a', '/c', '/d']) expect(scene.text(key)).toBe(body);
  });

  test('keeps out what is larger, and what it would replace is gone all the same', () => {
    const scene = new Scene(5_000);
    scene.put('/a', 'old');
    scene.put('/b', body);
    scene.put('/a', 'x'.repeat(5_000));
    expect(scene.text('/a')).toBeUndefined();
    expect(scene.text('/b')).toBe(body);
  });

  test('counts all that an entry keeps alive: key, fields, body, and what each of them costs', () => {
    const weigh = (key: string, fields: string[], size: number): number => {
      const store = new CacheStore(roomy);
      store.put(key, [], aMinute, storedResponse(200, fields, Buffer.alloc(size)), 0);
      return store.bytes;
    };
    const least = weigh('', [], 0);
    expect(least).toBeGreaterThan(100);
    expect(weigh('k'.repeat(10_000), [], 0)).toBe(least + 10_000);
    expect(weigh('', ['X', 'x'.repeat(10_000)], 0)).toBeGreaterThan(least + 10_000);
    expect(
      weigh(
        '',
        Array.from({ length: 100 }, () => 'x'),
        0,
      ),
    ).toBeGreaterThan(least + 1_000);
    expect(weigh('', [], 10_000)).toBeGreaterThanOrEqual(least + 10_000);
  });

  test('may be filled to the last byte', () => {
    const one = new Scene();
    one.put('/a', body);
    const scene = new Scene(2 * one.store.bytes);
    for (const key of ['/a', '/b']) scene.put(key, body);
    expect(scene.store).toMatchObject({ entries: 2, bytes: 2 * one.store.bytes });
    const exact = new Scene(one.store.bytes);
    exact.put('/a', body);
    expect(exact.text('/a')).toBe(body);
  });

  test('of nothing stores nothing', () => {
    const scene = new Scene(0);
    scene.put('/a', '');
    expect(scene.store).toMatchObject({ entries: 0, bytes: 0 });
  });
});

describe('whatever is put, found, invalidated and outlived', () => {
  const key = fc.constantFrom('/a', '/b', '/c', '/d');
  const header = fc.constantFrom('1', '2', '3');
  const step = fc.oneof(
    fc.record({
      act: fc.constant('put' as const),
      key,
      header,
      vary: fc.boolean(),
      size: fc.nat(3_000),
      lifetimeMs: fc.integer({ min: 1, max: 10_000 }),
    }),
    fc.record({ act: fc.constant('find' as const), key, header }),
    fc.record({ act: fc.constant('invalidate' as const), key }),
    fc.record({ act: fc.constant('wait' as const), ms: fc.nat(5_000) }),
  );

  test('the bytes stay within the capacity, and all come back', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), fc.nat(10_000), (steps, capacity) => {
        const scene = new Scene(capacity);
        for (const each of steps) {
          const before = scene.store.bytes;
          if (each.act === 'put') {
            const { lifetimeMs, vary } = each;
            scene.put(each.key, 'x'.repeat(each.size), { lifetimeMs, vary: vary ? ['x'] : [] }, ['X', each.header]);
          } else if (each.act === 'find') scene.find(each.key, ['X', each.header]);
          else if (each.act === 'invalidate') scene.store.invalidate(each.key);
          else scene.now += each.ms;
          expect(scene.store.bytes).toBeLessThanOrEqual(capacity);
          if (each.act !== 'put') expect(scene.store.bytes).toBeLessThanOrEqual(before);
          expect(scene.store.bytes === 0).toBe(scene.store.entries === 0);
        }
        for (const each of ['/a', '/b', '/c', '/d']) scene.store.invalidate(each);
        expect(scene.store).toMatchObject({ entries: 0, bytes: 0 });
      }),
    );
  });

  test('a hit is always the newest that fits, and fresh; in a roomy store nothing else is missed', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), fc.boolean(), (steps, isTight) => {
        const scene = new Scene(isTight ? 8_000 : roomy);
        // The model: a list, newest first.
        let model: { key: string; x: string | undefined; text: string; until: number }[] = [];
        steps.forEach((each, i) => {
          if (each.act === 'put') {
            const text = `${i}:${'x'.repeat(each.size)}`;
            const { lifetimeMs, vary, header: value } = each;
            scene.put(each.key, text, { lifetimeMs, vary: vary ? ['x'] : [] }, ['X', value]);
            model = model.filter(one => one.key !== each.key || (one.x !== undefined && one.x !== value));
            model.unshift({ key: each.key, x: vary ? value : undefined, text, until: scene.now + lifetimeMs });
          } else if (each.act === 'find') {
            const fit = model.filter(
              one => one.key === each.key && (one.x ?? each.header) === each.header && scene.now < one.until,
            );
            const found = scene.text(each.key, ['X', each.header]);
            if (isTight) expect([undefined, ...fit.map(one => one.text)]).toContain(found);
            else expect(found).toBe(fit[0]?.text);
          } else if (each.act === 'invalidate') {
            scene.store.invalidate(each.key);
            model = model.filter(one => one.key !== each.key);
          } else scene.now += each.ms;
        });
      }),
    );
  });
});

describe('If-None-Match', () => {
  test.each([
    ['"v1"', '"v1"', true],
    ['"v1"', 'W/"v1"', true],
    ['W/"v1"', '"v1"', true],
    ['W/"v1"', 'W/"v1"', true],
    ['"v0", W/"v1" ,"v2"', '"v1"', true],
    ['"v0","v1"', '"v1"', true],
    ['"a,b"', '"a,b"', true],
    ['"v1"', '"V1"', false],
    ['"v"', '"v1"', false],
    ['"v0", "v2"', '"v1"', false],
    ['v1', '"v1"', false],
    ['""', '""', true],
    ['', '"v1"', false],
    ['"v1"', undefined, false],
    ['*', '"v1"', true],
    [' * ', undefined, true],
    ['"*"', '"v1"', false],
  ])('%j against %j: compared weakly, %j (RFC 9110 §8.8.3.2, §13.1.2)', (ifNoneMatch, etag, expected) => {
    expect(etagMatches(ifNoneMatch, etag)).toBe(expected);
  });
});

test('a stored response is the very bytes and fields that came, in order', () => {
  const fields = ['X-B', '2', 'x-a', '1', 'X-B', 'é'];
  const body = Buffer.from([0, 255, 13, 10]);
  const response = storedResponse(200, fields, body);
  expect(response.fields.slice(0, 6)).toEqual(fields);
  expect(firstOf(response.fields, 'content-length')).toBe('4');
  expect(response.body).toEqual(body);
});
