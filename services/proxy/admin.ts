import express, { type Express } from 'express';
import type { Bus } from '../bus/bus.ts';
import type { Route } from '../config/config.ts';
import { messageOf } from '../lib/failure.ts';
import type { CacheStore } from './cache-store.ts';
import type { Dispatcher } from './dispatcher.ts';
import type { JobTable } from './job-table.ts';
import type { ProxyMetrics } from './metrics.ts';

export interface AdminParts {
  readonly bus: Bus;
  readonly routes: readonly Route[];
  readonly table: JobTable;
  readonly dispatcher: Dispatcher;
  readonly cache: CacheStore;
  readonly metrics: ProxyMetrics;
  readonly isDraining: () => boolean;
}

/** Health, metrics and status, for operators; bound to loopback unless told otherwise. */
export function createAdmin(parts: AdminParts): Express {
  const { bus, routes, table, dispatcher, cache, metrics } = parts;
  const services = [...new Set(routes.map(route => route.service))];
  const app = express();
  app.disable('x-powered-by');

  app.get('/livez', (_request, response) => {
    response.type('text').send('alive\n');
  });

  app.get('/readyz', (_request, response) => {
    const problem = parts.isDraining()
      ? 'draining'
      : bus.state !== 'up'
        ? bus.reason
        : services.some(service => table.liveWorkers(service) > 0)
          ? undefined
          : `no live worker for ${services.join(', ')}`;
    response
      .status(problem === undefined ? 200 : 503)
      .type('text')
      .send(`${problem ?? 'ready'}\n`);
  });

  app.get('/metrics', async (_request, response) => {
    response.type(metrics.registry.contentType).send(await metrics.registry.metrics());
  });

  app.get('/api/status', async (_request, response) => {
    response.json({
      broker: { state: bus.state, reason: bus.reason },
      routes: routes.map(({ name, host, path, service, ttlSeconds }) => ({
        name,
        host,
        path,
        service,
        ttl: ttlSeconds ?? null,
      })),
      services: await Promise.all(
        services.map(async service => ({
          service,
          liveWorkers: table.liveWorkers(service),
          queue: await depthOf(bus, service),
        })),
      ),
      workers: dispatcher.workers().map(worker => ({
        ...worker,
        upstreams: worker.upstreams.map(upstream => ({
          ...upstream,
          requests: Number(upstream.requests),
          failures: Number(upstream.failures),
        })),
      })),
      pendingJobs: dispatcher.pending,
      cache: { entries: cache.entries, bytes: cache.bytes, hits: cache.hits, misses: cache.misses },
      requests: { total: metrics.total, hits: metrics.hits, errors: metrics.errors },
    });
  });
  return app;
}

async function depthOf(
  bus: Bus,
  service: string,
): Promise<{ messages: number; consumers: number } | { error: string }> {
  try {
    return await bus.depth(`proxy.jobs.${service}`);
  } catch (error) {
    return { error: messageOf(error) };
  }
}
