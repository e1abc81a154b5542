import { isIPv6 } from 'node:net';
import { listenHost } from './address.ts';
import { type Format, flag, integer, optional } from './format.ts';
import { suggestion } from './nearest.ts';
import { duration } from './quantity.ts';

/** Where requests go: an exact host goes before `*`, then the longest path prefix (of whole segments) wins. */
export interface Route {
  /** For people and metrics: the NAME of the file's `[route.NAME]`, or HOST/PATH from elsewhere. */
  readonly name: string;
  /** Lower case, without a port, IPv6 in brackets (as in a Host field); `*`: any. */
  readonly host: string;
  /** Begins with `/`, and ends with one only if that is all of it. */
  readonly path: string;
  readonly service: string;
  /** Seconds a reply without explicit freshness is stored; undefined: explicit freshness only. */
  readonly ttlSeconds: number | undefined;
  /** The upstream honours Idempotency-Key. */
  readonly idempotencyKey: boolean;
  readonly deadlineMs: number;
}

/** A route as configured: without a deadline of its own it takes `proxy.job_deadline_ms`. */
export type RouteSetting = Omit<Route, 'deadlineMs'> & { readonly deadlineMs: number | undefined };

/** The name of a published service: it is part of queue names. */
export const serviceName: Format<string> = {
  parse(text) {
    if (!/^[a-z0-9][a-z0-9._-]{0,62}$/.test(text)) {
      throw new Error('must be a service name (a-z, 0-9, dot, dash, underscore; 63 characters at most)');
    }
    return text;
  },
  format: String,
};

const routeHost: Format<string> = {
  parse(text) {
    const bare = /^\[(.+)\]$/.exec(text)?.[1];
    const good = bare === undefined ? text !== '' && !isIPv6(text) : isIPv6(bare);
    try {
      return text === '*' ? text : listenHost.parse(good ? (bare ?? text) : '?') && text.toLowerCase();
    } catch {
      throw new Error('must be a host name without a port, an IP address ([IPv6] in brackets), or *');
    }
  },
  format: String,
};

const routePath: Format<string> = {
  parse(text) {
    if (!/^\/[^\s?#;,]*$/.test(text)) throw new Error('must be a path that begins with / (no query, no ; or ,)');
    return text.replace(/\/+$/, '') || '/';
  },
  format: String,
};

const ttl = optional(integer(0, 31_536_000));
const deadline = optional(duration(1, 86_400_000));

/** What may stand under `[route.NAME]`, with the default's text. Those with `option` also stand behind a flag's `;`. */
export const routeFields = {
  host: { format: routeHost, default: '*', option: false, doc: 'Host name, without a port; * is any.' },
  path: { format: routePath, default: '/', option: false, doc: 'Prefix of the path, in whole segments.' },
  service: {
    format: serviceName,
    default: '',
    option: false,
    doc: 'Where to; when not given, the NAME of the section.',
  },
  ttl: {
    format: ttl,
    default: '',
    option: true,
    doc: 'Seconds to store replies that do not say; empty: only what says that it may be stored.',
  },
  idempotency_key: {
    format: flag,
    default: 'false',
    option: true,
    doc: 'The service honours Idempotency-Key: requests that have one may be repeated.',
  },
  deadline_ms: { format: deadline, default: '', option: true, doc: 'Time to answer; empty: proxy.job_deadline_ms.' },
} as const satisfies Record<string, { format: Format<unknown>; default: string; option: boolean; doc: string }>;

export type RouteField = keyof typeof routeFields;

export function isRouteField(name: string): name is RouteField {
  return Object.hasOwn(routeFields, name);
}

/**
 * A route from the texts of its fields.
 * @param fields values as written; absent ones take their defaults
 * @param problem called with the field and "must be …" for each bad value
 * @returns undefined if there was a problem
 */
export function createRoute(
  name: string,
  fields: ReadonlyMap<RouteField, string>,
  problem: (field: RouteField, message: string) => void,
): RouteSetting | undefined {
  let sound = true;
  function read<T>(field: RouteField, format: Format<T>, fallback: string = routeFields[field].default): T | undefined {
    try {
      return format.parse(fields.get(field) ?? fallback);
    } catch (error) {
      sound = false;
      problem(field, (error as Error).message);
      return undefined;
    }
  }
  const route = {
    name,
    host: read('host', routeHost) ?? '*',
    path: read('path', routePath) ?? '/',
    service: read('service', serviceName, name) ?? name,
    ttlSeconds: read('ttl', ttl),
    idempotencyKey: read('idempotency_key', flag) ?? false,
    deadlineMs: read('deadline_ms', deadline),
  };
  return sound ? route : undefined;
}

/** One route as a flag or the environment has it: `HOST/PATH=SERVICE[;ttl=180][;idempotency_key=true][;deadline_ms=5s]`. */
export const routeText: Format<RouteSetting> = {
  parse(text) {
    const [head = '', ...options] = text
      .split(';')
      .map(part => part.trim())
      .filter((part, index) => index === 0 || part !== '');
    const cut = head.lastIndexOf('=');
    if (cut < 0) throw new Error('must be HOST/PATH=SERVICE, with ;ttl=SECONDS behind it if so wished');
    const place = head.slice(0, cut);
    const slash = place.includes('/') ? place.indexOf('/') : place.length;
    const fields = new Map<RouteField, string>([
      ['host', place.slice(0, slash) || '*'],
      ['path', place.slice(slash) || '/'],
      ['service', head.slice(cut + 1)],
    ]);
    for (const option of options) {
      const [key = '', value = ''] = option.split(/\s*=\s*(.*)/s);
      if (!isRouteField(key) || !routeFields[key].option) {
        const known = Object.entries(routeFields).flatMap(([name, field]) => (field.option ? [name] : []));
        throw new Error(
          `must not have ${JSON.stringify(key)} behind the ; (there are ${known.join(', ')})${suggestion(key, known)}`,
        );
      }
      if (fields.has(key)) throw new Error(`must not say ${key} twice`);
      fields.set(key, value);
    }
    const name = `${fields.get('host')}${fields.get('path')}`;
    const route = createRoute(name, fields, (field, message) => {
      throw new Error(`${message} (its ${field})`);
    });
    if (route === undefined) throw new Error('must be a route');
    return { ...route, name: `${route.host}${route.path}` };
  },
  format(route) {
    const head = `${route.host}${route.path}=${route.service}`;
    const ttlPart = route.ttlSeconds === undefined ? '' : `;ttl=${ttl.format(route.ttlSeconds)}`;
    const keyPart = route.idempotencyKey ? ';idempotency_key=true' : '';
    const deadlinePart = route.deadlineMs === undefined ? '' : `;deadline_ms=${deadline.format(route.deadlineMs)}`;
    return head + ttlPart + keyPart + deadlinePart;
  },
};

/** The first route whose host and path an earlier one has too. */
export function findDuplicate(routes: readonly RouteSetting[]): RouteSetting | undefined {
  const seen = new Set<string>();
  return routes.find(({ host, path }) => {
    const known = seen.has(host + path);
    seen.add(host + path);
    return known;
  });
}
