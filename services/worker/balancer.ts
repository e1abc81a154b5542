/**
 * Chooses the upstream: round robin over the healthy ones. One that refuses connections is *ejected* for a while that doubles
 * with each refusal after it, then tried again with live requests; one success makes it whole. When all are ejected the one
 * that comes back soonest is tried, since refusing without a try helps nobody. Pure; times in milliseconds.
 */
export class Balancer {
  readonly #upstreams: Entry[];
  #next = 0;

  constructor(urls: readonly string[]) {
    this.#upstreams = urls.map(url => ({ url, refusals: 0, ejectedUntil: 0, inFlight: 0, requests: 0, failures: 0 }));
  }

  /** @param tried upstreams that this job has met already @returns undefined when none is left */
  choose(now: number, tried: ReadonlySet<string>): string | undefined {
    const count = this.#upstreams.length;
    let fallback: Entry | undefined;
    for (let step = 0; step < count; step++) {
      const index = (this.#next + step) % count;
      const entry = this.#upstreams[index];
      if (!entry || tried.has(entry.url)) continue;
      if (now >= entry.ejectedUntil) {
        this.#next = (index + 1) % count;
        return entry.url;
      }
      if (!fallback || entry.ejectedUntil < fallback.ejectedUntil) fallback = entry;
    }
    return fallback?.url;
  }

  began(url: string): void {
    const entry = this.#find(url);
    entry.inFlight++;
    entry.requests++;
  }

  /** @param outcome `refused`: no connection could be had; `failed`: it broke in the middle; `unknown`: we gave up */
  ended(url: string, outcome: 'ok' | 'failed' | 'refused' | 'unknown', now: number): void {
    const entry = this.#find(url);
    entry.inFlight--;
    if (outcome === 'ok') {
      entry.refusals = 0;
      entry.ejectedUntil = 0;
    } else if (outcome !== 'unknown') entry.failures++;
    // One outage refuses all that were on their way to it: together they count once.
    if (outcome === 'refused' && now >= entry.ejectedUntil) {
      entry.ejectedUntil = now + Math.min(firstEjectionMs * 2 ** entry.refusals, longestEjectionMs);
      entry.refusals++;
    }
  }

  view(now: number): { url: string; healthy: boolean; inFlight: number; requests: number; failures: number }[] {
    return this.#upstreams.map(({ url, ejectedUntil, inFlight, requests, failures }) => ({
      url,
      healthy: now >= ejectedUntil,
      inFlight,
      requests,
      failures,
    }));
  }

  #find(url: string): Entry {
    const entry = this.#upstreams.find(upstream => upstream.url === url);
    if (!entry) throw new RangeError(`unknown upstream ${url}`);
    return entry;
  }
}

interface Entry {
  readonly url: string;
  refusals: number;
  ejectedUntil: number;
  inFlight: number;
  requests: number;
  failures: number;
}

const firstEjectionMs = 1_000;
const longestEjectionMs = 30_000;
