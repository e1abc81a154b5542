import { createServer, type Server } from 'node:http';
import { Server as TlsServer } from 'node:https';
import type { Bus } from '../bus/bus.ts';
import type { Config } from '../config/config.ts';
import { listen } from '../lib/listen.ts';
import { createAdmin } from './admin.ts';
import { CacheStore } from './cache-store.ts';
import { CertificateWatch } from './certificate.ts';
import { Dispatcher } from './dispatcher.ts';
import { createEdge } from './edge.ts';
import { JobTable } from './job-table.ts';
import { LineWriter } from './line-writer.ts';
import { ProxyMetrics } from './metrics.ts';
import { QueueDepths } from './queue-depths.ts';
import { RecentFigures } from './recent-figures.ts';
import { BodyBudget } from './request-body.ts';
import { formatConsole, formatJson } from './request-log.ts';
import { RouteTable } from './routes.ts';
import { createTrust } from './trust.ts';

/** How often the certificate's files are looked at; a new pair serves after two looks. */
const certificatePollMs = 1_000;
/** How often the queues' depths are asked for, to be announced. */
const depthPollMs = 2_000;
/** All request bodies held at once. */
const bodyBudgetBytes = 512 * 1024 * 1024;

export interface Proxy {
  readonly port: number;
  readonly adminPort: number;
  /** Jobs whose client still waits. */
  pending(): number;
  liveWorkers(service: string): number;
  /** Takes no new connections, finishes what runs within `drainMs`, closes the rest. The bus is the caller's. */
  close(drainMs: number): Promise<void>;
}

export interface ProxyCollaborators {
  readonly bus: Bus;
  /** Console text, whole lines. */
  readonly write: (text: string) => void;
  /** For whoever runs it, a line. */
  readonly warn: (line: string) => void;
  /** Monotonic milliseconds. */
  readonly clock: () => number;
}

/** Starts the HTTP edge and the admin server. @throws Failure PORT_TAKEN, TLS_FILE, BUS_LOGIN, BUS_RIGHTS, BUS_TOPOLOGY */
export async function startProxy({ bus, write, warn, clock }: ProxyCollaborators, config: Config): Promise<Proxy> {
  const { proxy: settings, routes, worker, log } = config;
  const lines = new LineWriter(write);
  const isConsole = log.format === 'console';
  const say = (line: string): void => {
    if (isConsole) lines.line(line);
  };
  const { tlsCert: cert, tlsKey: key } = settings;
  const tls =
    cert === undefined || key === undefined
      ? undefined
      : await CertificateWatch.start(
          { cert, key },
          {
            pollMs: certificatePollMs,
            // Connections that there are keep theirs.
            onChange: certificate => {
              if (edge instanceof TlsServer) edge.setSecureContext(certificate);
            },
            warn,
          },
        );
  const { queueTimeoutMs, brokerGraceMs } = settings;
  const table = new JobTable({ queueTimeoutMs, leaseMs: worker.leaseMs, brokerGraceMs });
  const cache = new CacheStore(settings.cacheBytes);
  const services = [...new Set(routes.map(route => route.service))];
  const metrics = new ProxyMetrics({
    cacheEntries: () => cache.entries,
    cacheBytes: () => cache.bytes,
    pendingJobs: () => dispatcher.pending,
    isBrokerUp: () => bus.state === 'up',
    liveWorkers: () => new Map(services.map(service => [service, table.liveWorkers(service)])),
  });
  const recent = new RecentFigures(clock());
  const depths = new QueueDepths(bus, services, depthPollMs);
  const dispatcher = new Dispatcher(bus, table, clock, {
    services,
    leaseMs: worker.leaseMs,
    renewMs: worker.renewMs,
    figures: () => ({
      requests: BigInt(metrics.total),
      hits: BigInt(metrics.hits),
      errors: BigInt(metrics.errors),
      inFlight: dispatcher.pending,
      cacheEntries: cache.entries,
      cacheBytes: BigInt(cache.bytes),
      ...recent.read(clock()),
      services: services.map(service => ({
        service,
        liveWorkers: table.liveWorkers(service),
        queued: depths.of(service),
      })),
    }),
  });

  say('[*] Init socket... Done.');
  const {
    server: edge,
    tunnels,
    taken,
  } = createEdge(
    {
      routes: new RouteTable(routes),
      cache,
      dispatcher,
      budget: new BodyBudget(bodyBudgetBytes),
      isTrusted: createTrust(settings.trusted),
      clock,
      onRequest: record => {
        metrics.observe(record);
        recent.observe(record.seconds * 1_000, record.by === 'cache', clock());
        if (isConsole) lines.line(formatConsole(record));
        else if (log.format === 'json') lines.line(formatJson(record, new Date().toISOString()));
      },
    },
    { ...settings, certificate: tls?.certificate },
  );
  let draining = false;
  const admin = createServer(
    createAdmin({ bus, routes, table, dispatcher, cache, metrics, isDraining: () => draining }),
  );
  const close = async (drainMs: number): Promise<void> => {
    draining = true;
    tls?.watch.close();
    depths.close();
    await Promise.all([
      closeServer(edge, drainMs, {
        // A WebSocket would never end by itself; its client finds another proxy.
        idle: () => {
          for (const tunnel of tunnels) tunnel.close();
        },
        // The server knows them no more.
        forced: () => {
          for (const socket of taken) socket.destroy();
        },
      }),
      closeServer(admin, 0),
    ]);
    await dispatcher.close();
    lines.flush();
  };
  try {
    const port = await listen(edge, { host: settings.host, port: settings.port, backlog: settings.backlog });
    say('[*] socket binded successfully...');
    const adminPort = await listen(admin, { host: settings.adminHost, port: settings.adminPort });
    await dispatcher.start();
    say(`[*] Server started successfully [${port}]`);
    if (log.format === 'json')
      lines.line(
        JSON.stringify({ time: new Date().toISOString(), level: 'info', event: 'listening', port, adminPort }),
      );
    lines.flush();
    return {
      port,
      adminPort,
      pending: () => dispatcher.pending,
      liveWorkers: service => table.liveWorkers(service),
      close,
    };
  } catch (error) {
    await close(0);
    throw error;
  }
}

/** Idle connections close at once, busy ones after their response, what is left after `drainMs` by force. */
async function closeServer(
  server: Server,
  drainMs: number,
  also: { idle(): void; forced(): void } = { idle: () => {}, forced: () => {} },
): Promise<void> {
  if (!server.listening) return;
  const closed = new Promise<void>(resolve => server.close(() => resolve()));
  const closeIdle = (): void => {
    server.closeIdleConnections();
    also.idle();
  };
  closeIdle();
  const idle = setInterval(closeIdle, 100);
  const force = setTimeout(() => {
    server.closeAllConnections();
    also.forced();
  }, drainMs);
  await closed;
  clearInterval(idle);
  clearTimeout(force);
}
