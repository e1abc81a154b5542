import { type Fields, firstOf, isRewritten, listOf } from './fields.ts';

/** Directives of Cache-Control, names in lower case, values without quotes; undefined for those without a value. */
export type Directives = ReadonlyMap<string, string | undefined>;

/** RFC 9111 §5.2. A directive given twice: the first counts (§4.2.1). */
export function parseCacheControl(value: string | undefined): Directives {
  const directives = new Map<string, string | undefined>();
  if (value === undefined) return directives;
  for (const [, name = '', quotedValue, bareValue] of value.matchAll(
    /([^\s,;="]+)(?:\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,;"]*)))?/g,
  )) {
    const key = name.toLowerCase();
    if (!directives.has(key)) directives.set(key, quotedValue ?? bareValue);
  }
  return directives;
}

/** How a request may be answered from the store. */
export interface Lookup {
  /** `any`: what is stored; `public`: only what says that it is for everybody; `none`: ask the upstream. */
  readonly use: 'any' | 'public' | 'none';
  /** What the answer's age must not exceed, in seconds. */
  readonly maxAgeSeconds: number;
  /** Rather 504 than the upstream (RFC 9111 §5.2.1.7). */
  readonly onlyIfCached: boolean;
  /** Why the upstream is asked when nothing stored will do (RFC 9211 §2.2). */
  readonly forward: 'miss' | 'method' | 'bypass' | 'request';
}

const neverStored: Lookup = { use: 'none', maxAgeSeconds: 0, onlyIfCached: false, forward: 'method' };
const anyStored: Lookup = { use: 'any', maxAgeSeconds: Number.POSITIVE_INFINITY, onlyIfCached: false, forward: 'miss' };

/** What the request lets a cache do (DESIGN.md, "HTTP jobs"; RFC 9111 §5.2.1). */
export function lookupOf(method: string, fields: Fields): Lookup {
  if (method !== 'GET' && method !== 'HEAD') return neverStored;
  let isPersonal = false;
  let hasDirectives = false;
  for (let i = 0; i < fields.length; i += 2) {
    switch (fields[i]?.toLowerCase()) {
      case 'authorization':
      case 'cookie':
        isPersonal = true;
        break;
      case 'range':
        return { ...neverStored, forward: 'bypass' };
      case 'cache-control':
      case 'pragma':
        hasDirectives = true;
    }
  }
  if (!isPersonal && !hasDirectives) return anyStored;
  const directives = parseCacheControl(listOf(fields, 'cache-control'));
  const use = isPersonal ? 'public' : 'any';
  const onlyIfCached = directives.has('only-if-cached');
  const isPragma = directives.size === 0 && /\bno-cache\b/i.test(firstOf(fields, 'pragma') ?? '');
  if (directives.has('no-cache') || directives.has('no-store') || isPragma) {
    return { use: 'none', maxAgeSeconds: 0, onlyIfCached, forward: 'request' };
  }
  const maxAge = seconds(directives.get('max-age'));
  return {
    use,
    maxAgeSeconds: maxAge ?? Number.POSITIVE_INFINITY,
    onlyIfCached,
    forward: maxAge === undefined ? (isPersonal ? 'bypass' : 'miss') : 'request',
  };
}

/** What makes a response worth storing. */
export interface Storage {
  readonly lifetimeMs: number;
  /** How old it was when it came. */
  readonly ageMs: number;
  /** Request fields that it depends on, lower case. */
  readonly vary: readonly string[];
  /** May answer requests that carry credentials. */
  readonly isPublic: boolean;
}

export interface Exchange {
  readonly method: string;
  readonly requestFields: Fields;
  readonly status: number;
  readonly responseFields: Fields;
}

/**
 * Whether, and for how long, a response is stored: 200 to GET, with explicit freshness or a route's `ttl`.
 * @param routeTtlSeconds lifetime of a response that says nothing of its own
 * @param now time of day in milliseconds, for `Expires` without `Date`
 */
export function storageOf(exchange: Exchange, routeTtlSeconds: number | undefined, now: number): Storage | undefined {
  const { method, requestFields, status, responseFields } = exchange;
  if (method !== 'GET' || status !== 200) return undefined;
  const cacheControl = listOf(responseFields, 'cache-control');
  // The common case, on its own: this is asked of every response.
  if (cacheControl === 'no-store') return undefined;
  const directives = parseCacheControl(cacheControl);
  if (directives.has('no-store') || directives.has('private') || directives.has('no-cache')) return undefined;
  const isPublic = directives.has('public');
  const isPersonal =
    firstOf(requestFields, 'authorization') !== undefined ||
    firstOf(requestFields, 'cookie') !== undefined ||
    firstOf(responseFields, 'set-cookie') !== undefined;
  if (isPersonal && !isPublic) return undefined;
  if (firstOf(requestFields, 'range') !== undefined) return undefined;
  // What a body may have asked for is not what the next GET asks for, which has the same key (RFC 9110 §9.3.1).
  const length = firstOf(requestFields, 'content-length') ?? '0';
  if (length !== '0' || firstOf(requestFields, 'transfer-encoding') !== undefined) return undefined;
  if (parseCacheControl(listOf(requestFields, 'cache-control')).has('no-store')) return undefined;
  const vary = (listOf(responseFields, 'vary') ?? '')
    .split(',')
    .map(name => name.trim().toLowerCase())
    .filter(name => name !== '');
  // A field that the upstream saw otherwise than the client sent it selects nothing (§4.1).
  if (vary.some(name => name === '*' || isRewritten(requestFields, name))) return undefined;
  if (cacheControl === undefined && /\bno-cache\b/i.test(firstOf(responseFields, 'pragma') ?? '')) return undefined;
  const lifetime = explicitLifetime(directives, responseFields, now) ?? routeTtlSeconds;
  // A list of ages: the first counts (§5.1).
  const age = seconds(firstOf(responseFields, 'age')?.split(',')[0]?.trim()) ?? 0;
  if (lifetime === undefined || lifetime <= age) return undefined;
  return { lifetimeMs: lifetime * 1000, ageMs: age * 1000, vary, isPublic };
}

/** RFC 9111 §4.2.1 without heuristics, in seconds; 0 for what says it is stale, also by being unreadable (§4.2.1, §5.3). */
function explicitLifetime(directives: Directives, fields: Fields, now: number): number | undefined {
  for (const name of ['s-maxage', 'max-age']) if (directives.has(name)) return seconds(directives.get(name)) ?? 0;
  const expires = firstOf(fields, 'expires');
  if (expires === undefined) return undefined;
  const at = parseHttpDate(expires);
  const date = parseHttpDate(firstOf(fields, 'date') ?? '');
  return Number.isNaN(at) ? 0 : Math.max(0, (at - (Number.isNaN(date) ? now : date)) / 1000);
}

/** RFC 9111 §1.2.2: a whole number; what is too large counts as 2^31. */
function seconds(text: string | undefined): number | undefined {
  return text !== undefined && /^\d+$/.test(text) ? Math.min(Number(text), 2 ** 31) : undefined;
}

/** The three forms that a recipient accepts: IMF-fixdate, RFC 850, asctime (RFC 9110 §5.6.7). */
const httpDate =
  /^(?:[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT|[A-Z][a-z]{5,8}, \d\d-[A-Z][a-z]{2}-\d\d \d\d:\d\d:\d\d GMT|[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \d{4})$/;

/** Milliseconds since 1970; NaN for what is no HTTP-date, which `Date.parse` alone would take in many forms. */
function parseHttpDate(text: string): number {
  return httpDate.test(text) ? Date.parse(text.endsWith('GMT') ? text : `${text} GMT`) : Number.NaN;
}
