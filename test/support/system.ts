import { createBus } from '../../services/bus/amqp-bus.ts';
import type { Bus } from '../../services/bus/bus.ts';
import { type QueueKind, roles } from '../../services/bus/topology.ts';
import type { Config, Route } from '../../services/config/config.ts';
import { loadConfig } from '../../services/config/load.ts';
import { type Proxy, startProxy } from '../../services/proxy/proxy.ts';
import { startWorker, type Worker } from '../../services/worker/worker.ts';
import { until } from './until.ts';

/** Defaults of `warren proxy` on free ports, with overrides. */
export function proxyConfig(
  service: string,
  overrides: { proxy?: Partial<Config['proxy']>; route?: Partial<Route> } = {},
): Config {
  const defaults = loadConfig({ command: 'proxy', argv: [], env: {}, readFile: () => '' });
  const route: Route = {
    name: service,
    host: '*',
    path: '/',
    service,
    ttlSeconds: undefined,
    idempotencyKey: false,
    deadlineMs: defaults.proxy.jobDeadlineMs,
    ...overrides.route,
  };
  return {
    ...defaults,
    log: { format: 'console' },
    proxy: { ...defaults.proxy, host: '127.0.0.1', port: 0, adminPort: 0, ...overrides.proxy },
    routes: [route],
  };
}

export interface ProxyUnderTest extends AsyncDisposable {
  readonly proxy: Proxy;
  readonly bus: Bus;
  readonly url: string;
  readonly admin: string;
  /** Console lines so far. */
  readonly lines: string[];
  /** Until that many workers of the service take jobs. */
  workers(count: number): Promise<unknown>;
}

export async function proxyUnderTest(
  brokerUrls: string | readonly string[],
  config: Config,
  queueType: QueueKind = 'classic',
): Promise<ProxyUnderTest> {
  const urls = typeof brokerUrls === 'string' ? [brokerUrls] : brokerUrls;
  const service = config.routes[0]?.service ?? '';
  const bus = createBus({ urls, name: 'proxy under test', role: roles.proxy([service], queueType) });
  const lines: string[] = [];
  const proxy = await startProxy(
    {
      bus,
      write: text => lines.push(...text.trimEnd().split('\n')),
      warn: line => lines.push(line),
      clock: () => performance.now(),
    },
    config,
  );
  return {
    proxy,
    bus,
    lines,
    url: `http://127.0.0.1:${proxy.port}`,
    admin: `http://127.0.0.1:${proxy.adminPort}`,
    workers: count =>
      until(
        () => proxy.liveWorkers(service),
        live => live === count,
      ),
    [Symbol.asyncDispose]: async () => {
      await proxy.close(500);
      await bus.close();
    },
  };
}

export interface WorkerUnderTest extends AsyncDisposable {
  readonly worker: Worker;
  readonly bus: Bus;
}

export async function workerUnderTest(
  brokerUrl: string,
  service: string,
  upstream: readonly string[],
  options: { concurrency?: number; maxStreams?: number; queueType?: QueueKind } = {},
): Promise<WorkerUnderTest> {
  const queueType = options.queueType ?? 'classic';
  const bus = createBus({ urls: [brokerUrl], name: 'worker under test', role: roles.worker(service, queueType) });
  const worker = await startWorker(
    { bus, clock: () => performance.now(), log: () => {} },
    {
      service,
      upstream,
      concurrency: options.concurrency ?? 64,
      maxStreams: options.maxStreams ?? 10_000,
      connectTimeoutMs: 2_000,
      leaseMs: 3_000,
      renewMs: 1_000,
      queueType,
    },
  );
  return {
    worker,
    bus,
    [Symbol.asyncDispose]: async () => {
      await worker.close(500);
      await bus.close();
    },
  };
}
