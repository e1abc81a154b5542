import { mkdir } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { createBus } from '../bus/amqp-bus.ts';
import type { Bus } from '../bus/bus.ts';
import type { StartPart } from '../bus/hosted.ts';
import { roles } from '../bus/topology.ts';
import { type RingOptions, startRing } from '../chord/ring.ts';
import type { Config } from '../config/config.ts';
import { type DirectoryClient, directoryClient } from '../directory/client.ts';
import { restDirectoryClient } from '../directory/rest-client.ts';
import { withSession } from '../directory/rest-session.ts';
import { claim } from '../lib/claim.ts';
import { Failure } from '../lib/failure.ts';
import { certificateFacts } from '../lib/identity/authority.ts';
import { type MemberId, shortId } from '../lib/identity/member-id.ts';
import { startDaemon } from './daemon.ts';
import { keptMemberKeys, type Membership, memberDir, readMembership } from './home.ts';
import { keepRenewed } from './keep-renewed.ts';
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
    Partial<Pick<Settings, 'directoryUrl' | 'password' | 'share'>> {
  /** Of a home that has joined. */
  readonly dataDir: string;
  /** In turn, until one is free; 0 is any free one. */
  readonly ports: readonly number[];
  readonly ring: RingOptions;
  /** Nothing but the ring is hosted. */
  readonly isRingOnly?: boolean;
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
  close(): Promise<void>;
}

/**
 * Starts the daemon of a home that has joined, with all that it hosts.
 * @throws Failure MEMBER_NOT_JOINED, MEMBER_HELD, MEMBER_HOME, CONFIG, and of the daemon
 */
export async function startMember({ warn, log, onStop }: MemberNeeds, options: MemberOptions): Promise<Member> {
  const { dataDir, ports, host, advertise } = options;
  const membership = await readMembership(dataDir);
  if (membership === undefined) throw new Failure('MEMBER_NOT_JOINED', 'this home has not joined: warren join LINE');
  const ends: (() => unknown)[] = [];
  const close = async (): Promise<void> => {
    for (const end of ends.splice(0).reverse()) await end();
  };
  try {
    const mine = await claimHome(memberDir(dataDir));
    ends.push(() => mine.release());
    const keys = await keptMemberKeys(dataDir);
    const { queueType, authorityCertificate, certificate, directoryAccount } = membership;
    const brokerUrls = movedTo(membership.brokerUrls, options.brokerAt);
    const { account } = certificateFacts(certificate);
    const name = options.name ?? hostname();
    const now = (): number => Date.now();
    const bus = createBus({ urls: brokerUrls, name: `warren member ${shortId(keys.id)}`, role: roles.member() }, warn);
    ends.push(() => bus.close());
    const revocations = new Revocations({ bus, authorityCertificate, directoryAccount, warn });
    ends.push(() => revocations.close());
    const daemon = await startDaemon(
      {
        ...{ bus, keys, revocations, warn, log, now, onStop },
        directory: directoryOf(bus, membership, account, options),
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
    return { id: keys.id, name, account, port: daemon.port, ownerPlace: daemon.ownerPlace, bus, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** What each daemon hosts. */
function partsOf({ ring }: MemberOptions): StartPart[] {
  return [host => startRing(host, ring)];
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

async function claimHome(dir: string): Promise<{ release(): Promise<void> }> {
  await mkdir(dir, { recursive: true, mode: 0o700 });
  const mine = await claim(join(dir, 'owner'));
  if ('heldBy' in mine)
    throw new Failure(
      'MEMBER_HELD',
      `process ${mine.heldBy} is the daemon of ${dir} already: stop that one, or choose another --data`,
    );
  return mine;
}

/** Over the bus, where the broker account says who calls; or, if it is set so, over REST with the account's password. */
function directoryOf(
  bus: Bus,
  { directoryAccount: from }: Membership,
  username: string,
  { directoryUrl, password }: Pick<MemberOptions, 'directoryUrl' | 'password'>,
): DirectoryClient {
  if (directoryUrl === undefined) return directoryClient(bus, from === undefined ? {} : { from });
  if (password === undefined)
    throw new Failure(
      'CONFIG',
      `the directory at ${new URL(directoryUrl).origin} wants the password of ${username}: member.password (WARREN_MEMBER_PASSWORD, or …_FILE)`,
    );
  return withSession(restDirectoryClient(directoryUrl), { username, password });
}
