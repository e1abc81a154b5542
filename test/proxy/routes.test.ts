import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Route } from '../../services/config/config.ts';
import { RouteTable } from '../../services/proxy/routes.ts';

/** `host/path → service`, as a route with everything else at its default. */
function route(at: string): Route {
  const [place = '', service = ''] = at.split(' ');
  const slash = place.indexOf('/');
  return {
    name: place,
    host: place.slice(0, slash),
    path: place.slice(slash),
    service,
    ttlSeconds: undefined,
    idempotencyKey: false,
    deadlineMs: 30_000,
  };
}

function serviceFor(routes: string[], host: string, target: string): string | undefined {
  return new RouteTable(routes.map(route)).find(host, target)?.service;
}

test('without a route there is none', () => {
  expect(serviceFor([], 'a', '/')).toBeUndefined();
  expect(serviceFor(['a.example/ web'], 'b.example', '/')).toBeUndefined();
  expect(serviceFor(['*/api web'], 'a', '/')).toBeUndefined();
});

describe('a path prefix', () => {
  const routes = ['*/ all', '*/api api', '*/api/v2 two'];

  test.each([
    ['/', 'all'],
    ['/?q=/api', 'all'],
    ['/index.html', 'all'],
    ['/api', 'api'],
    ['/api/', 'api'],
    ['/api?x=1', 'api'],
    ['/api/users', 'api'],
    ['/apis', 'all'],
    ['/api-old', 'all'],
    ['/API', 'all'],
    ['//api', 'all'],
    ['/api/v2', 'two'],
    ['/api/v2/x?y', 'two'],
    ['/api/v20', 'api'],
    ['/x/api/v2', 'all'],
  ])('takes %s to %s: the longest of whole segments', (target, service) => {
    expect(serviceFor(routes, 'any.example', target)).toBe(service);
    expect(serviceFor([...routes].reverse(), 'any.example', target)).toBe(service);
  });

  test('of two routes that are the same, the first counts', () => {
    expect(serviceFor(['*/a first', '*/a second'], 'x', '/a')).toBe('first');
  });

  test('that takes a target is one at a segment border, and none longer does, whatever the paths', () => {
    const segment = fc.constantFrom('a', 'b', 'ab');
    const path = fc.array(segment, { maxLength: 4 }).map(parts => `/${parts.join('/')}`);
    fc.assert(
      fc.property(fc.array(path, { minLength: 1, maxLength: 8 }), path, (paths, target) => {
        const found = new RouteTable(paths.map(each => route(`*${each} s`))).find('h', target);
        const fits = (each: string): boolean => each === '/' || target === each || target.startsWith(`${each}/`);
        const longest = paths.filter(fits).sort((a, b) => b.length - a.length)[0];
        expect(found?.path).toBe(longest);
      }),
    );
  });
});

describe('a host', () => {
  const routes = ['*/ any', '*/api/long/path anypath', 'shop.example/ shop', 'shop.example/api shopapi', '[::1]/ six'];

  test.each([
    ['shop.example', 'shop'],
    ['SHOP.example', 'shop'],
    ['shop.example:8080', 'shop'],
    ['Shop.Example:80', 'shop'],
    ['www.shop.example', 'any'],
    ['shop.example.org', 'any'],
    ['shop', 'any'],
    ['', 'any'],
    [':80', 'any'],
    ['[::1]', 'six'],
    ['[::1]:8080', 'six'],
    ['::1', 'any'],
    ['[::2]:8080', 'any'],
    ['*', 'any'],
  ])('%j goes to %s: without its port, letter case aside (RFC 9110 §4.2.3)', (host, service) => {
    expect(serviceFor(routes, host, '/')).toBe(service);
  });

  test('named exactly goes before any host, even where that has the longer path', () => {
    expect(serviceFor(routes, 'shop.example', '/api/long/path')).toBe('shopapi');
    expect(serviceFor(routes, 'other.example', '/api/long/path')).toBe('anypath');
  });

  test('that has no route for the path falls back to those of any host', () => {
    const partial = ['*/ any', 'shop.example/api shopapi'];
    expect(serviceFor(partial, 'shop.example', '/')).toBe('any');
    expect(serviceFor(['shop.example/api shopapi'], 'shop.example', '/')).toBeUndefined();
  });

  test('is looked up also when it is the only one', () => {
    expect(serviceFor(['shop.example/ shop'], 'shop.example:1', '/')).toBe('shop');
    expect(serviceFor(['shop.example/ shop'], 'other', '/')).toBeUndefined();
  });
});
