import { hostname } from 'node:os';
import { createBus } from '../bus/amqp-bus.ts';
import type { Bus } from '../bus/bus.ts';
import type { MemberHost, StartPart } from '../bus/hosted.ts';
import { roles } from '../bus/topology.ts';
import { type ChatOptions, startChat } from '../chat/chat.ts';
import { type RingOptions, type RingPart, startRing } from '../chord/ring.ts';
import type { Config } from '../config/config.ts';
import {
  announcementOf,
  type DirectoryClient,
  deltasOf,
  directoryClient,
  signedLogin,
  snapshotOf,
} from '../directory/client.ts';
import { restDirectoryClient } from '../directory/rest-client.ts';
import { withSession } from '../directory/rest-session.ts';
import { dialable } from '../lib/dialable.ts';
import { Failure, messageOf } from '../lib/failure.ts';
import { certificateFacts } from '../lib/identity/certificate.ts';
import type { MemberKeys } from '../lib/identity/keys.ts';
import { brokerAccountOf, type MemberId, shortId } from '../lib/identity/member-id.ts';
import { aborted } from '../lib/stop.ts';
import { type NamingClient, namingClient } from '../naming/client.ts';
import { keepRegistered } from '../naming/registration.ts';
import { restNamingClient } from '../naming/rest-client.ts';
import { startPeer } from '../peer/peer.ts';
import { startDaemon } from './daemon.ts';
import { claimHome, keepMembership, keptMemberKeys, type Membership, readMembership } from './home.ts';
import { keepRenewed } from './keep-renewed.ts';
import { keepRevocation, readRevocations } from './kept-revocations.ts';
import { Revocations } from './revocations.ts';

export interface MemberNeeds {
  readonly warn: (line: string) => void;
  readonly log: (line: string) => void;
  /** Called when the owner asks the daemon to end. */
  readonly onStop: () => void;
}

type Settings = Config['member'];

export interface MemberOptions
  extends Pick<Settings, 'name' | 'host' | 'advertise'>,
    Partial<Pick<Settings, 'directoryUrl' | 'password' | 'share' | 'originPort' | 'locate'>> {
  /** Of a home that has joined. */
  readonly dataDir: string;
  /** In turn, until one is free; 0 is any free one. */
  readonly ports: readonly number[];
  readonly ring: RingOptions;
  /** Nothing but the ring is hosted. */
  readonly isRingOnly?: boolean;
  /** None: no chat. */
  readonly chat?: Config['chat'];
  /** Where the broker is now, instead of where it was when the home joined: one that is private to this machine may move. */
  readonly brokerAt?: readonly string[];
}

export interface Member {
  readonly id: MemberId;
  readonly name: string;
  readonly account: string;
  readonly port: number;
  readonly ownerPlace: string;
  readonly bus: Bus;
  /** Resolves when there is a broker, and others can call this member over it. @throws Failure, as `Bus.ready` */
  ready(signal: AbortSignal): Promise<void>;
  close(): Promise<void>;
}

/**
 * Starts the daemon of a home that has joined, with all that it hosts.
 * @throws Failure MEMBER_NOT_JOINED, MEMBER_HELD, MEMBER_HOME, CONFIG, and of the daemon
 */
export async function startMember({ warn, log, onStop }: MemberNeeds, options: MemberOptions): Promise<Member> {
  const { dataDir, ports, host, advertise } = options;
  if ((await readMembership(dataDir)) === undefined) throw notJoined();
  const ends: (() => unknown)[] = [];
  const close = async (): Promise<void> => {
    for (const end of ends.splice(0).reverse()) await end();
  };
  try {
    const mine = await claimHome(dataDir);
    ends.push(() => mine.release());
    // Only now: until then it may have been joined anew.
    const joined = await readMembership(dataDir);
    if (joined === undefined) throw notJoined();
    const keys = await keptMemberKeys(dataDir);
    const brokerUrls = movedTo(joined.brokerUrls, options.brokerAt);
    const membership = { ...joined, brokerUrls };
    // For others that run from this home: `warren status`, a worker.
    if (brokerUrls.join() !== joined.brokerUrls.join()) await keepMembership(dataDir, membership);
    const { queueType, authorityCertificate, certificate, directoryAccount } = membership;
    const { account } = certificateFacts(certificate);
    const name = options.name ?? hostname();
    const now = (): number => Date.now();
    const role = roles.member({ account: brokerAccountOf(keys.id), kind: queueType });
    const bus = createBus({ urls: brokerUrls, name: `warren member ${shortId(keys.id)}`, role }, warn);
    ends.push(() => bus.close());
    const openBus: MemberHost['openBus'] = (purpose, { heartbeatSeconds }) =>
      createBus({
        urls: brokerUrls.map(url => withHeartbeat(url, heartbeatSeconds)),
        name: `warren member ${shortId(keys.id)}, ${purpose}`,
        role: roles.member(),
      });
    const revocations = new Revocations({
      ...{ bus, authorityCertificate, directoryAccount, warn },
      known: await readRevocations(dataDir),
    });
    ends.push(() => revocations.close());
    revocations.onRevoked((id, proof) => {
      if (id === keys.id) warn('this machine was revoked: it is no member any more');
      keepRevocation(dataDir, proof).catch(error => warn(messageOf(error)));
    });
    const daemon = await startDaemon(
      {
        ...{ bus, openBus, keys, revocations, warn, log, now, onStop },
        directory: directoryOf(bus, membership, { keys, account }, options),
        isDirectoryOverBus: options.directoryUrl === undefined,
        parts: partsOf(options),
        clock: () => performance.now(),
        random: Math.random,
      },
      {
        ...{ dataDir, name, authorityCertificate, certificate, host, advertise, queueType, ports },
        brokerHost: new URL(brokerUrls[0] ?? '').hostname,
      },
    );
    ends.push(() => daemon.close());
    revocations.start();
    const renewal = keepRenewed({ bus, dataDir, membership, now, warn }, daemon.setCertificate);
    ends.push(() => renewal.close());
    const { port, ownerPlace, served } = daemon;
    const ready = async (signal: AbortSignal): Promise<void> => {
      await bus.ready(signal);
      await Promise.race([served, aborted(signal)]);
    };
    return { id: keys.id, name, account, port, ownerPlace, bus, ready, close };
  } catch (error) {
    await close();
    throw error;
  }
}

function notJoined(): Failure {
  return new Failure('MEMBER_NOT_JOINED', 'this home has not joined: warren join LINE');
}

/** What each daemon hosts. */
function partsOf({ ring, isRingOnly, share, originPort, locate = 'both', chat }: MemberOptions): StartPart[] {
  const talks: StartPart[] = chat === undefined ? [] : [host => startChat(host, chatOptions(chat))];
  if (chat?.only) return talks;
  const announcing = { announcementOf, deltasOf, snapshotOf };
  // They are started one after the other.
  const started = Promise.withResolvers<RingPart>();
  const startTheRing: StartPart = async host => {
    const part = await startRing(host, ring);
    started.resolve(part);
    return part;
  };
  const startFiles: StartPart = async host =>
    startPeer(host, { share, originPort, announcing, locate, ring: (await started.promise).providers });
  return isRingOnly ? [startTheRing] : [startTheRing, startFiles, ...talks];
}

function chatOptions({
  name,
  found,
  minN,
  migrateEveryMs,
  historyBytes,
  historyMs,
  ...naming
}: Config['chat']): ChatOptions {
  const { dnsIp, dnsPort, namingToken } = naming;
  const client = ({ bus }: MemberHost): NamingClient =>
    dnsIp === undefined ? namingClient(bus) : restNamingClient(`http://${dialable(dnsIp)}:${dnsPort}`, namingToken);
  return {
    ...{ name, minN, migrateEveryMs, historyBytes, historyMs, isFounder: found },
    naming: { client, keepRegistered },
  };
}

function withHeartbeat(url: string, seconds: number): string {
  const own = new URL(url);
  own.searchParams.set('heartbeat', String(seconds));
  return own.href;
}

/** The same accounts, elsewhere. */
function movedTo(urls: readonly string[], places: readonly string[] | undefined): string[] {
  const [known] = urls.map(url => new URL(url));
  if (places === undefined || known === undefined) return [...urls];
  return places.map(place => {
    const url = new URL(place);
    url.username = known.username;
    url.password = known.password;
    return url.href;
  });
}

/** Over the bus, where the broker account says who calls; or, if it is set so, over REST with the account's password. */
function directoryOf(
  bus: Bus,
  { directoryAccount: from }: Membership,
  { keys, account: username }: { keys: MemberKeys; account: string },
  { directoryUrl, password }: Pick<MemberOptions, 'directoryUrl' | 'password'>,
): DirectoryClient {
  if (directoryUrl === undefined) return directoryClient(bus, from === undefined ? {} : { from });
  if (password === undefined)
    throw new Failure(
      'CONFIG',
      `the directory at ${new URL(directoryUrl).origin} wants the password of ${username}: member.password (WARREN_MEMBER_PASSWORD, or …_FILE)`,
    );
  return withSession(restDirectoryClient(directoryUrl), signedLogin(keys, { username, password, addresses: [] }));
}
