import { join } from 'node:path';
import { readWhereabouts } from '../broker/home.ts';
import { managementUrls } from '../bus/accounts/management-url.ts';
import type { Config } from '../config/config.ts';

export interface KnownBroker {
  /** With an account; none: only its HTTP API is known. */
  readonly urls: readonly string[];
  /** Of its HTTP API, with an account, one of each node; undefined: not known. */
  readonly httpUrl: readonly string[] | undefined;
}

/** The broker that is configured, else the one that runs for the data directory; starts none. */
export async function knownBroker({ broker }: Config, dataDir: string): Promise<KnownBroker | undefined> {
  if (broker.url.length > 0) return { urls: broker.url, httpUrl: managementUrls(broker) };
  const found = await readWhereabouts(join(dataDir, 'broker'));
  if (found !== undefined)
    return { urls: [found.url], httpUrl: broker.httpUrl ?? (found.http === undefined ? undefined : [found.http]) };
  return broker.httpUrl === undefined ? undefined : { urls: [], httpUrl: broker.httpUrl };
}
