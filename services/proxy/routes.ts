import type { Route } from '../config/config.ts';

/**
 * Finds the route of a request: among the routes of its exact host, then among those of any host, the longest path prefix,
 * in whole segments (`/api` takes `/api` and `/api/x`, not `/apis`).
 */
export class RouteTable {
  readonly #byHost = new Map<string, Route[]>();

  constructor(routes: readonly Route[]) {
    for (const route of routes) {
      const sharing = this.#byHost.get(route.host) ?? [];
      sharing.push(route);
      sharing.sort((a, b) => b.path.length - a.path.length);
      this.#byHost.set(route.host, sharing);
    }
  }

  /** @param host the Host field as received @param target in origin form */
  find(host: string, target: string): Route | undefined {
    const exact = this.#byHost.size > 1 || !this.#byHost.has('*') ? this.#byHost.get(hostName(host)) : undefined;
    return (exact && longestPrefix(exact, target)) ?? longestPrefix(this.#byHost.get('*') ?? [], target);
  }
}

function longestPrefix(routes: readonly Route[], target: string): Route | undefined {
  for (const route of routes) if (hasPrefix(target, route.path)) return route;
  return undefined;
}

function hasPrefix(target: string, path: string): boolean {
  if (path === '/') return target.startsWith('/');
  if (!target.startsWith(path)) return false;
  const next = target[path.length];
  return next === undefined || next === '/' || next === '?';
}

/** Lower case, no port: `[::1]:80` → `[::1]`, `Example.com:8080` → `example.com`. */
function hostName(host: string): string {
  const end = host.startsWith('[') ? host.indexOf(']') + 1 : host.indexOf(':');
  return (end > 0 ? host.slice(0, end) : host).toLowerCase();
}
