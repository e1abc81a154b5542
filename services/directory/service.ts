import { randomBytes } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { DirectoryServiceDefinition } from '../../proto/gen/warren/directory/v1/directory.ts';
import type { Bus } from '../bus/bus.ts';
import { serveCalls } from '../bus/calls.ts';
import { directoryIndex, directoryRpc, directoryTransfers, type QueueKind } from '../bus/topology.ts';
import { claim } from '../lib/claim.ts';
import { dialable } from '../lib/dialable.ts';
import { Failure, messageOf } from '../lib/failure.ts';
import { listen } from '../lib/listen.ts';
import { randomId } from '../lib/random.ts';
import { served } from '../lib/rpc/definition.ts';
import { readVersion } from '../lib/version.ts';
import { createAnnouncements } from './announcements.ts';
import { createDirectory, type DirectoryOptions, hashOf } from './directory.ts';
import { createHttpApp } from './http-app.ts';
import { DirectoryStore, directoryDir } from './store.ts';
import { createTransfers } from './transfers.ts';

export interface ServiceNeeds {
  /** Of role `directory`. Stays the caller's to close, after the directory. */
  readonly bus: Bus;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** Milliseconds, monotonic. */
  readonly clock: () => number;
  readonly warn: (line: string) => void;
}

export interface ServiceOptions extends DirectoryOptions {
  /** The data directory; the directory has a folder in it. */
  readonly dataDir: string;
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
  readonly queueType: QueueKind;
}

export interface Directory {
  readonly url: string;
  readonly port: number;
  /** Takes no more calls, answers those it has, and closes. */
  close(): Promise<void>;
}

/** Calls over the bus that are held at a time; more wait in the queue. */
const atOnce = 32;
/** Announcements held at a time, of up to 1 MiB; taken in one after the other. */
const announced = 8;
/** How often downloads are counted, in milliseconds. */
const countMs = 500;
/** How long an open request may hold `close` up, in milliseconds. */
const drainMs = 1_000;

/**
 * Starts the directory: over REST at once, over the bus as soon as there is a broker.
 * @throws Failure DIRECTORY_HELD, DIRECTORY_DATA, PORT_TAKEN, PORT_DENIED, LISTEN
 */
export async function startDirectory(
  { bus, now, clock, warn }: ServiceNeeds,
  { dataDir, host, port, queueType, ...options }: ServiceOptions,
): Promise<Directory> {
  const dir = directoryDir(dataDir);
  await mkdir(dir, { recursive: true, mode: 0o700 }).catch(error => {
    throw new Failure('DIRECTORY_DATA', `cannot make ${dir}: ${messageOf(error)}`, { cause: error });
  });
  const mine = await claim(join(dir, 'owner'));
  if ('heldBy' in mine)
    throw new Failure(
      'DIRECTORY_HELD',
      `process ${mine.heldBy} runs the directory of ${dir} already: stop that one, or choose another --data`,
    );
  const ends: (() => unknown)[] = [() => mine.release()];
  const close = async (): Promise<void> => {
    for (const end of ends.splice(0).reverse()) await end();
  };
  try {
    const store = new DirectoryStore(dir);
    ends.push(() => store.close());
    const newToken = (): string => randomBytes(32).toString('base64url');
    const handlers = createDirectory({ store, now, clock, newToken, newId: randomId, random: Math.random }, options);

    const server = createServer(
      createHttpApp(handlers, readVersion(), warn, token => store.findSession(hashOf(token), now()) !== undefined),
    );
    server.requestTimeout = 10_000;
    server.maxConnections = 1_000;
    const bound = await listen(server, { host, port });
    ends.push(async () => {
      const closed = new Promise(resolve => server.close(resolve));
      server.closeIdleConnections();
      const cut = setTimeout(() => server.closeAllConnections(), drainMs);
      await closed.finally(() => clearTimeout(cut));
    });

    const serving = serveCalls(bus, directoryRpc(queueType).queue, [served(DirectoryServiceDefinition, handlers)], {
      atOnce,
      warn,
    });
    const announcements = createAnnouncements({ index: store.index, clock, warn });
    const transfers = createTransfers({ downloads: store.downloads, now, warn });
    const counting = setInterval(() => transfers.flush(), countMs);
    ends.push(() => {
      clearInterval(counting);
      transfers.flush();
    });
    const consuming = [
      serving,
      bus.consume(directoryIndex(queueType).queue, delivery => announcements.take(delivery), { prefetch: announced }),
      bus.consume(
        directoryTransfers,
        delivery => {
          transfers.take(delivery);
          return 'ack';
        },
        { noAck: true, bindings: () => [{ exchange: 'p2p.transfers', key: '*' }] },
      ),
    ];
    // Not awaited here: this can take as long as the broker is away. A refusal for good also ends `bus.ready()`.
    let isClosing = false;
    const started = consuming.map(each =>
      each.then(
        async consumer => {
          if (isClosing) await consumer.close();
          return consumer;
        },
        () => undefined,
      ),
    );
    ends.push(async () => {
      isClosing = true;
      // While there is no broker, nothing is consumed, and nothing to wait for.
      if (bus.state === 'up' || bus.state === 'blocked')
        await Promise.all(started.map(async each => (await each)?.close()));
    });
    return { url: `http://${dialable(host)}:${bound}`, port: bound, close };
  } catch (error) {
    await close();
    throw error;
  }
}
