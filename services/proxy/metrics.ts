import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { RequestRecord } from './request-log.ts';

/** What the gauges read when they are scraped. */
export interface Readings {
  cacheEntries(): number;
  cacheBytes(): number;
  pendingJobs(): number;
  isBrokerUp(): boolean;
  /** Service → workers that take its jobs. */
  liveWorkers(): ReadonlyMap<string, number>;
}

/** The proxy's figures for Prometheus. Label values come from the configuration and from status codes only. */
export class ProxyMetrics {
  readonly registry = new Registry();
  readonly #requests: Counter<'service' | 'code' | 'by'>;
  readonly #seconds: Histogram<'service'>;
  /** prom-client hashes label objects at each call; these are the ones already looked up. */
  readonly #children = new Map<string, { requests: Counter.Internal; seconds: Histogram.Internal<'service'> }>();
  total = 0;
  hits = 0;
  errors = 0;

  constructor(readings: Readings) {
    const registers = [this.registry];
    this.#requests = new Counter({
      name: 'warren_proxy_requests_total',
      help: 'Requests answered, by service, status code and who answered (upstream, cache, proxy)',
      labelNames: ['service', 'code', 'by'],
      registers,
    });
    this.#seconds = new Histogram({
      name: 'warren_proxy_request_seconds',
      help: 'From the head of the request to the end of the response',
      labelNames: ['service'],
      buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
      registers,
    });
    gauge(registers, 'warren_proxy_cache_entries', 'Stored responses', readings.cacheEntries);
    gauge(registers, 'warren_proxy_cache_bytes', 'Bytes of stored responses', readings.cacheBytes);
    gauge(registers, 'warren_proxy_pending_jobs', 'Jobs whose client still waits', readings.pendingJobs);
    gauge(registers, 'warren_proxy_broker_up', '1 while connected and not blocked', () =>
      Number(readings.isBrokerUp()),
    );
    new Gauge({
      name: 'warren_proxy_live_workers',
      help: 'Workers that take jobs, by service',
      labelNames: ['service'],
      registers,
      collect() {
        for (const [service, count] of readings.liveWorkers()) this.set({ service }, count);
      },
    });
  }

  observe({ service, status, seconds, by }: RequestRecord): void {
    const who = by === 'cache' ? 'cache' : 'upstream' in by ? 'upstream' : 'proxy';
    this.total++;
    if (by === 'cache') this.hits++;
    if (status >= 500) this.errors++;
    const key = `${service} ${status} ${who}`;
    let child = this.#children.get(key);
    if (!child) {
      child = { requests: this.#requests.labels(service, String(status), who), seconds: this.#seconds.labels(service) };
      this.#children.set(key, child);
    }
    child.requests.inc();
    child.seconds.observe(seconds);
  }
}

function gauge(registers: Registry[], name: string, help: string, read: () => number): void {
  new Gauge({
    name,
    help,
    registers,
    collect() {
      this.set(read());
    },
  });
}
