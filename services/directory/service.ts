import { randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import { DirectoryServiceDefinition } from '../../proto/gen/warren/directory/v1/directory.ts';
import { EnrolmentServiceDefinition } from '../../proto/gen/warren/directory/v1/enrolment.ts';
import { MembershipServiceDefinition } from '../../proto/gen/warren/directory/v1/membership.ts';
import type { AccountSpec } from '../bus/accounts/accounts.ts';
import { createBrokerAccounts } from '../bus/accounts/management.ts';
import type { Bus, Consumer } from '../bus/bus.ts';
import { serveCalls } from '../bus/calls.ts';
import { directoryEnrol, directoryIndex, directoryRpc, directoryTransfers } from '../bus/queues.ts';
import type { QueueKind } from '../bus/topology.ts';
import { claimFolder } from '../lib/claim.ts';
import { dialable } from '../lib/dialable.ts';
import { Failure } from '../lib/failure.ts';
import { listen } from '../lib/listen.ts';
import { randomHex, randomId } from '../lib/random.ts';
import { served } from '../lib/rpc/definition.ts';
import { readVersion } from '../lib/version.ts';
import { AccountKeeper, desiredAccounts } from './account-keeper.ts';
import { createAnnouncements } from './announcements.ts';
import { Attempts } from './attempts.ts';
import { keptAuthority } from './authority-file.ts';
import { createDirectory, type DirectoryOptions, hashOf } from './directory.ts';
import { createEnrolment } from './enrolment.ts';
import { createHttpApp } from './http-app.ts';
import { createInvite, type InviteRequest } from './invites.ts';
import { createMembers } from './members.ts';
import { forgetPlace, tellPlace } from './place.ts';
import { Presence } from './presence.ts';
import { RevocationFeed } from './revocation-feed.ts';
import { DirectoryStore, directoryDir } from './store.ts';
import { watchStore } from './store-watch.ts';
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
  readonly leaseMs: number;
  /** The broker as members reach it, without an account; none: nobody can be invited. */
  readonly brokerUrls?: readonly string[];
  /** The broker's management API with an administrator's account, perhaps one of each node; undefined: nobody can join. */
  readonly accountsUrl?: string | readonly string[] | undefined;
  /** How long a member's certificate is good for. */
  readonly certificateDays?: number;
  /** Chats of the network, and whose members may serve them (none: all). */
  readonly chats?: readonly string[];
  readonly chatHosts?: readonly string[];
}

export interface Directory {
  readonly url: string;
  readonly port: number;
  /**
   * Makes an invite, and its account on the broker. @returns the line to join with: a secret
   * @throws Failure CONFIG, INVITE_ACCOUNTS (no management API is known), and those of `BrokerAccounts`
   */
  invite(request: InviteRequest): Promise<string>;
  /** Takes no more calls, answers those it has, and closes. */
  close(): Promise<void>;
}

/** Calls over the bus that are held at a time; more wait in the queue. */
const atOnce = 32;
/** Strangers hold no more than that. */
const enrolmentsAtOnce = 4;
/** The broker's accounts are looked at so often; a management API that fails is asked again so soon. */
const keeping = { everyMs: 60_000, retry: { firstMs: 1_000, maxMs: 30_000 } };
/** Announcements held at a time, of up to 1 MiB; taken in one after the other. */
const announced = 8;
/** How often downloads are counted, in milliseconds. */
const countMs = 500;
/** How long an open request may hold `close` up, in milliseconds. */
const drainMs = 1_000;

/**
 * Starts the directory: over REST at once, over the bus as soon as there is a broker.
 * @throws Failure DIRECTORY_HELD, DIRECTORY_DATA, AUTHORITY, PORT_TAKEN, PORT_DENIED, LISTEN
 */
export async function startDirectory(
  { bus, now, clock, warn }: ServiceNeeds,
  {
    dataDir,
    host,
    port,
    queueType,
    leaseMs,
    brokerUrls = [],
    accountsUrl,
    certificateDays = 90,
    chats = [],
    chatHosts = [],
    ...options
  }: ServiceOptions,
): Promise<Directory> {
  const dir = directoryDir(dataDir);
  const mine = await claimFolder(dir, { code: 'DIRECTORY', what: 'directory' });
  const ends: (() => unknown)[] = [() => mine.release()];
  const close = async (): Promise<void> => {
    for (const end of ends.splice(0).reverse()) await end();
  };
  try {
    const store = new DirectoryStore(dir);
    ends.push(() => store.close());
    const authority = await keptAuthority(dir, now());
    const keeper =
      accountsUrl === undefined
        ? undefined
        : keeperOf(accountsUrl, () => desiredAccounts(store, now(), { chats, chatHosts }), warn);
    ends.push(() => keeper?.close());
    const attempts = new Attempts(clock);
    const presence = new Presence(clock, leaseMs);
    const members = createMembers(
      { store, presence, authority, now, onInviteDone: () => keeper?.wake(), warn },
      { certificateDays },
    );
    const newToken = (): string => randomBytes(32).toString('base64url');
    const handlers = createDirectory(
      { store, now, attempts, presence, members, newToken, newId: randomId, random: Math.random },
      options,
    );
    const enrolment = createEnrolment(
      {
        store,
        authority,
        attempts,
        now,
        newPassword: () => randomHex(64),
        newSalt: () => randomBytes(4),
        syncAccounts: () => keeper?.sync() ?? Promise.reject(noAccounts()),
      },
      { brokerUrls, queueType, certificateDays },
    );

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

    const url = `http://${dialable(host)}:${bound}`;
    await tellPlace(dir, url);
    ends.push(() => forgetPlace(dir));

    const services = [
      served(DirectoryServiceDefinition, handlers),
      served(MembershipServiceDefinition, members.membership),
    ];
    const announcements = createAnnouncements({
      index: store.index,
      clock,
      warn,
      isMember: id => store.members.findActive(id) !== undefined,
    });
    const transfers = createTransfers({ downloads: store.downloads, now, warn });
    const counting = setInterval(() => transfers.flush(), countMs);
    ends.push(() => {
      clearInterval(counting);
      transfers.flush();
    });
    const indexing = bus.consume(directoryIndex(queueType).queue, delivery => announcements.take(delivery), {
      prefetch: announced,
    });
    const counted = bus.consume(
      directoryTransfers,
      delivery => {
        transfers.take(delivery);
        return 'ack';
      },
      { noAck: true, bindings: () => [{ exchange: 'p2p.transfers', key: '*' }] },
    );
    ends.push(
      closing(bus, indexing),
      closing(bus, counted),
      closing(bus, serveCalls(bus, directoryRpc(queueType).queue, services, { atOnce, warn })),
      closing(
        bus,
        serveCalls(bus, directoryEnrol(queueType).queue, [served(EnrolmentServiceDefinition, enrolment)], {
          atOnce: enrolmentsAtOnce,
          warn,
        }),
      ),
      watchStore({ store, bus, keeper, feed: new RevocationFeed(store, bus), warn }),
    );
    const invite = async (request: InviteRequest): Promise<string> => {
      if (keeper === undefined) throw noAccounts();
      const { line } = createInvite({ store, authority, now }, request, { brokerUrls, directoryAccount: bus.user });
      await keeper.sync();
      return line;
    };
    return { url, port: bound, invite, close };
  } catch (error) {
    await close();
    throw error;
  }
}

function keeperOf(
  url: string | readonly string[],
  desired: () => AccountSpec[],
  warn: (line: string) => void,
): AccountKeeper {
  return new AccountKeeper({ accounts: createBrokerAccounts(url), desired, warn }, keeping);
}

/** What a command or caller is told where no management API is known. */
export function noAccounts(): Failure {
  return new Failure(
    'INVITE_ACCOUNTS',
    'nobody can join: the directory cannot make accounts on this broker; set broker.http_url (WARREN_BROKER_HTTP_URL) to its management API, as in http://user:password@host:15672',
  );
}

/**
 * Ends a consumer that is perhaps not there yet: starting is not awaited, because it can take as long as the broker is away. A
 * refusal for good also ends `bus.ready()`.
 */
function closing(bus: Bus, starting: Promise<Consumer>): () => Promise<void> {
  let isClosing = false;
  const started = starting.then(
    async consumer => {
      if (isClosing) await consumer.close();
      return consumer;
    },
    () => undefined,
  );
  return async () => {
    isClosing = true;
    // While there is no broker, nothing is consumed, and nothing to wait for.
    if (bus.state === 'up' || bus.state === 'blocked') await (await started)?.close();
  };
}
