import { etagMatches, type Hit } from './cache-store.ts';
import { type Fields, listOf } from './fields.ts';

/** What a stored response is answered as. */
export interface CachedAnswer {
  readonly status: number;
  /** All but `Date` and those of the connection. */
  readonly fields: string[];
  readonly isBodiless: boolean;
}

/** RFC 9111 §4, §4.3.2. @param fields of the request */
export function cachedAnswer({ response, ageSeconds, ttlSeconds }: Hit, method: string, fields: Fields): CachedAnswer {
  const own = ['Age', String(ageSeconds), 'Cache-Status', `warren; hit; ttl=${ttlSeconds}`];
  const ifNoneMatch = listOf(fields, 'if-none-match');
  const isNotModified = ifNoneMatch !== undefined && etagMatches(ifNoneMatch, response.etag);
  return {
    status: isNotModified ? 304 : response.status,
    fields: (isNotModified ? withoutLength(response.fields) : response.fields).concat(own),
    isBodiless: isNotModified || method === 'HEAD',
  };
}

function withoutLength(fields: Fields): string[] {
  const kept: string[] = [];
  for (let i = 0; i < fields.length; i += 2) {
    if (fields[i] !== 'Content-Length') kept.push(fields[i] ?? '', fields[i + 1] ?? '');
  }
  return kept;
}
