import { createServer } from 'node:http';
import { NameChanged, NamingServiceDefinition } from '../../proto/gen/warren/naming/v1/naming.ts';
import type { Bus } from '../bus/bus.ts';
import { serveCalls } from '../bus/calls.ts';
import { namingRpc } from '../bus/queues.ts';
import type { QueueKind } from '../bus/topology.ts';
import { claimFolder } from '../lib/claim.ts';
import { dialable } from '../lib/dialable.ts';
import { listen } from '../lib/listen.ts';
import { served } from '../lib/rpc/definition.ts';
import { readVersion } from '../lib/version.ts';
import { addressesOf, startDns } from './dns-server.ts';
import { createHttpApp } from './http-app.ts';
import { NameTable } from './name-table.ts';
import { createZones } from './name-zones.ts';
import { createNaming } from './naming.ts';
import { NamingStore, namingDir } from './store.ts';
import { keepToken } from './token.ts';

export interface ServiceNeeds {
  /** Of role `naming`. Stays the caller's to close, after naming. */
  readonly bus: Bus;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** Milliseconds, monotonic. */
  readonly clock: () => number;
  /** In [0, 1). */
  readonly random: () => number;
  readonly warn: (line: string) => void;
}

export interface ServiceOptions {
  /** The data directory; naming has a folder in it. */
  readonly dataDir: string;
  readonly host: string;
  /** Of REST; 0: any free one. */
  readonly port: number;
  readonly dnsHost: string;
  /** 0: any free one. */
  readonly dnsPort: number;
  /** Domains, in lower case. */
  readonly zones: readonly string[];
  /** Answers a second to one address; 0: no limit. */
  readonly dnsRate: number;
  readonly leaseMs: number;
  readonly queueType: QueueKind;
}

export interface RunningNaming {
  readonly url: string;
  readonly port: number;
  readonly dnsPort: number;
  /** Takes no more calls, answers those it has, and closes. */
  close(): Promise<void>;
}

/** Calls over the bus that are held at a time; more wait in the queue. */
const atOnce = 32;
/** How long an open request may hold `close` up, in milliseconds. */
const drainMs = 1_000;

/**
 * Starts naming: over REST and DNS at once, over the bus as soon as there is a broker.
 * @throws Failure NAMING_HELD, NAMING_DATA, PORT_TAKEN, PORT_DENIED, LISTEN
 */
export async function startNaming(
  { bus, now, clock, random, warn }: ServiceNeeds,
  { dataDir, host, port, dnsHost, dnsPort, zones: origins, dnsRate, leaseMs, queueType }: ServiceOptions,
): Promise<RunningNaming> {
  const dir = namingDir(dataDir);
  const mine = await claimFolder(dir, { code: 'NAMING', what: 'naming' });
  const ends: (() => unknown)[] = [() => mine.release()];
  const close = async (): Promise<void> => {
    for (const end of ends.splice(0).reverse()) await end();
  };
  try {
    const token = await keepToken(dir);
    const store = new NamingStore(dir);
    ends.push(() => store.close());
    const table = new NameTable({ store, clock, warn }, { leaseMs });
    ends.push(() => table.flush());
    const sweep = setInterval(() => table.sweep(), Math.ceil(leaseMs / 6));
    ends.push(() => clearInterval(sweep));
    ends.push(
      table.onChange(change => {
        const body = NameChanged.encode(change).finish();
        bus.send({ type: 'warren.naming.v1.NameChanged', key: change.record.name, body });
      }),
    );
    const naming = createNaming({ table, clock, random }, { leaseMs });

    const server = createServer(createHttpApp(naming, { version: readVersion(), token, warn }));
    server.requestTimeout = 10_000;
    server.maxConnections = 1_000;
    const bound = await listen(server, { host, port });
    ends.push(async () => {
      const closed = new Promise(resolve => server.close(resolve));
      server.closeIdleConnections();
      const cut = setTimeout(() => server.closeAllConnections(), drainMs);
      await closed.finally(() => clearTimeout(cut));
    });
    ends.push(() => naming.close());

    const zones = createZones({ table, clock, now }, { origins, nameServer: addressesOf(dnsHost) });
    const dns = await startDns({ zones, clock, warn }, { host: dnsHost, port: dnsPort, rate: dnsRate });
    ends.push(() => dns.close());

    const serving = serveCalls(bus, namingRpc(queueType).queue, [served(NamingServiceDefinition, naming.members)], {
      atOnce,
      warn,
    });
    // Not awaited here: this can take as long as the broker is away. A refusal for good also ends `bus.ready()`.
    let isClosing = false;
    const started = serving.then(
      async consumer => {
        if (isClosing) await consumer.close();
        return consumer;
      },
      () => undefined,
    );
    ends.push(async () => {
      isClosing = true;
      // While there is no broker, nothing is consumed, and nothing to wait for.
      if (bus.state === 'up' || bus.state === 'blocked') await (await started)?.close();
    });
    return { url: `http://${dialable(host)}:${bound}`, port: bound, dnsPort: dns.port, close };
  } catch (error) {
    await close();
    throw error;
  }
}
