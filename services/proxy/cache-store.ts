import type { Lookup, Storage } from './cache-policy.ts';
import { type Fields, firstOf, listOf } from './fields.ts';

/** A response as the client gets it, but for `Age` and `Cache-Status`. */
export interface StoredResponse {
  readonly status: number;
  /** Ready to send, `Content-Length` included. */
  readonly fields: Fields;
  readonly body: Buffer;
  /** A short body once more, as latin-1 text, which is sent faster. */
  readonly text: string | undefined;
  readonly etag: string | undefined;
}

export interface Hit {
  readonly response: StoredResponse;
  readonly ageSeconds: number;
  readonly ttlSeconds: number;
}

/**
 * Stored responses in memory: bounded by bytes, the least recently used go first. Stale ones are dropped when met.
 * All times in milliseconds, monotonic.
 */
export class CacheStore {
  readonly #capacity: number;
  /** Cache key (method GET understood) → its variants, the newest first. */
  readonly #variants = new Map<string, Variant[]>();
  /** In order of use. */
  readonly #recent = new Set<Variant>();
  #bytes = 0;
  hits = 0;
  misses = 0;

  constructor(capacityBytes: number) {
    this.#capacity = capacityBytes;
  }

  get entries(): number {
    return this.#recent.size;
  }

  get bytes(): number {
    return this.#bytes;
  }

  find(key: string, requestFields: Fields, lookup: Lookup, now: number): Hit | undefined {
    const hit = lookup.use === 'none' ? undefined : this.#find(key, requestFields, lookup, now);
    if (hit) this.hits++;
    else this.misses++;
    return hit;
  }

  #find(key: string, requestFields: Fields, lookup: Lookup, now: number): Hit | undefined {
    for (const variant of this.#variants.get(key) ?? []) {
      if (variant.freshUntil <= now) {
        this.#drop(variant);
        // The list changes under us; what is left is seen in the next round.
        return this.#find(key, requestFields, lookup, now);
      }
      if (lookup.use === 'public' && !variant.isPublic) continue;
      if (!matches(variant, requestFields)) continue;
      const ageSeconds = Math.floor((now - variant.bornAt) / 1000);
      if (ageSeconds > lookup.maxAgeSeconds) continue;
      this.#recent.delete(variant);
      this.#recent.add(variant);
      return { response: variant.response, ageSeconds, ttlSeconds: Math.ceil((variant.freshUntil - now) / 1000) };
    }
    return undefined;
  }

  /** Puts it in place of the variant that the same request would have selected. */
  put(key: string, requestFields: Fields, storage: Storage, response: StoredResponse, now: number): void {
    const vary = storage.vary.map(name => [name, listOf(requestFields, name)] as const);
    const bytes = sizeOf(key, response, vary);
    const bornAt = now - storage.ageMs;
    const variant: Variant = {
      key,
      response,
      bytes,
      bornAt,
      freshUntil: bornAt + storage.lifetimeMs,
      isPublic: storage.isPublic,
      vary,
    };
    const others = this.#variants.get(key) ?? [];
    for (const other of [...others]) if (matches(other, requestFields)) this.#drop(other);
    if (bytes > this.#capacity) return;
    for (const oldest of this.#recent) {
      if (this.#bytes + bytes <= this.#capacity) break;
      this.#drop(oldest);
    }
    const list = this.#variants.get(key) ?? [];
    for (const surplus of list.slice(variantLimit - 1)) this.#drop(surplus);
    this.#variants.set(key, [variant, ...(this.#variants.get(key) ?? [])]);
    this.#recent.add(variant);
    this.#bytes += bytes;
  }

  /** After a successful unsafe request to the same target (RFC 9111 §4.4). */
  invalidate(key: string): void {
    for (const variant of this.#variants.get(key) ?? []) this.#drop(variant);
  }

  #drop(variant: Variant): void {
    if (!this.#recent.delete(variant)) return;
    this.#bytes -= variant.bytes;
    const rest = (this.#variants.get(variant.key) ?? []).filter(other => other !== variant);
    if (rest.length > 0) this.#variants.set(variant.key, rest);
    else this.#variants.delete(variant.key);
  }
}

/** The tag of a response that may be compared weakly (RFC 9110 §13.1.2). */
export function etagMatches(ifNoneMatch: string, etag: string | undefined): boolean {
  if (ifNoneMatch.trim() === '*') return true;
  if (etag === undefined) return false;
  const opaque = etag.replace(/^W\//, '');
  return (ifNoneMatch.match(/(?:W\/)?"[^"]*"/g) ?? []).some(tag => tag.replace(/^W\//, '') === opaque);
}

/** What a response that came is stored as. Its `Age` is left out: each hit makes its own (RFC 9111 §4). */
/** Bytes up to which a body is sent together with its head. */
export const shortBody = 4096;

export function storedResponse(status: number, fields: Fields, body: Buffer): StoredResponse {
  const kept: string[] = [];
  for (let i = 0; i < fields.length; i += 2) {
    if (fields[i]?.toLowerCase() !== 'age') kept.push(fields[i] ?? '', fields[i + 1] ?? '');
  }
  kept.push('Content-Length', String(body.length));
  const text = body.length <= shortBody ? body.toString('latin1') : undefined;
  return { status, fields: kept, body, text, etag: firstOf(fields, 'etag') };
}

interface Variant {
  readonly key: string;
  readonly response: StoredResponse;
  readonly bytes: number;
  readonly bornAt: number;
  readonly freshUntil: number;
  readonly isPublic: boolean;
  readonly vary: Selection;
}

/** The request fields that select a variant, with the values that its own request had. */
type Selection = readonly (readonly [name: string, value: string | undefined])[];

/** Many variants of one target are somebody's random header; the newest few serve. */
const variantLimit = 32;

/** RFC 9111 §4.1, without normalisation. */
function matches({ vary }: Variant, requestFields: Fields): boolean {
  return vary.every(([name, value]) => listOf(requestFields, name) === value);
}

/** Strings take one byte a character here (latin-1); the constant stands for objects and map entries. */
function sizeOf(key: string, { fields, body, text }: StoredResponse, vary: Selection): number {
  let bytes = 600 + key.length + body.length + (text?.length ?? 0);
  for (const text of fields) bytes += text.length + 24;
  for (const [name, value] of vary) bytes += name.length + (value?.length ?? 0) + 48;
  return bytes;
}
