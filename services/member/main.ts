import { mkdir } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join, resolve } from 'node:path';
import { createBus } from '../bus/amqp-bus.ts';
import type { Bus } from '../bus/bus.ts';
import { roles } from '../bus/topology.ts';
import type { Run } from '../cli/io.ts';
import type { Config } from '../config/config.ts';
import { announcementOf, type DirectoryClient, deltasOf, directoryClient, snapshotOf } from '../directory/client.ts';
import { restDirectoryClient } from '../directory/rest-client.ts';
import { withSession } from '../directory/rest-session.ts';
import { claim } from '../lib/claim.ts';
import { Failure } from '../lib/failure.ts';
import { certificateFacts } from '../lib/identity/authority.ts';
import { shortId } from '../lib/identity/member-id.ts';
import { aborted } from '../lib/stop.ts';
import { startPeer } from '../peer/peer.ts';
import { startDaemon } from './daemon.ts';
import { keptMemberKeys, type Membership, memberDir, readMembership } from './home.ts';
import { keepRenewed } from './keep-renewed.ts';
import { Revocations } from './revocations.ts';

/** Several daemons on one machine find a port each. */
const usualPorts = Array.from({ length: 50 }, (_, at) => 50_051 + at);

/** `warren member`: serves until `stop` aborts, or the owner asks it to end. */
export const run: Run = async (config, stop, io) => {
  const dataDir = resolve(io.cwd, config.data.dir);
  const membership = await readMembership(dataDir);
  if (membership === undefined) throw new Failure('MEMBER_NOT_JOINED', 'this home has not joined: warren join LINE');
  const mine = await claimHome(memberDir(dataDir));
  const ending = new AbortController();
  stop.addEventListener('abort', () => ending.abort());
  if (stop.aborted) ending.abort();
  const warn = (line: string): void => io.err(`member: ${line}\n`);
  const log = (line: string): void => io.out(`${line}\n`);
  const now = (): number => Date.now();
  try {
    const keys = await keptMemberKeys(dataDir);
    const { brokerUrls, queueType, authorityCertificate, certificate, directoryAccount } = membership;
    const { account } = certificateFacts(certificate);
    const { name = hostname(), host, port, advertise, directoryUrl, originPort } = config.member;
    const share = config.member.share === undefined ? undefined : resolve(io.cwd, config.member.share);
    const bus = createBus({ urls: brokerUrls, name: `warren member ${shortId(keys.id)}`, role: roles.member() }, warn);
    const revocations = new Revocations({ bus, authorityCertificate, directoryAccount, warn });
    try {
      const daemon = await startDaemon(
        {
          ...{ bus, keys, revocations, warn, log, now },
          directory: directoryOf(bus, membership, account, config.member),
          isDirectoryOverBus: directoryUrl === undefined,
          parts: [host => startPeer(host, { share, originPort, announcing: { announcementOf, deltasOf, snapshotOf } })],
          clock: () => performance.now(),
          random: Math.random,
          onStop: () => ending.abort(),
        },
        {
          ...{ dataDir, name, authorityCertificate, certificate, host, advertise, queueType },
          ports: port === undefined ? usualPorts : [port],
          brokerHost: new URL(brokerUrls[0] ?? '').hostname,
        },
      );
      revocations.start();
      const renewal = keepRenewed({ bus, dataDir, membership, now, warn }, daemon.setCertificate);
      try {
        io.out(`member ${shortId(keys.id)} (${name}, account ${account}) serves members on port ${daemon.port}\n`);
        io.out(`its owner is served at ${daemon.ownerPlace}\n`);
        // Refused or not: the account may come back, and the owner is told why it is not up.
        bus.ready(ending.signal).then(
          () => io.out('member is up\n'),
          () => {},
        );
        await aborted(ending.signal);
      } finally {
        renewal.close();
        await daemon.close();
      }
    } finally {
      revocations.close();
      await bus.close();
    }
  } finally {
    await mine.release();
  }
};

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
  { directoryUrl, password }: Config['member'],
): DirectoryClient {
  if (directoryUrl === undefined) return directoryClient(bus, from === undefined ? {} : { from });
  if (password === undefined)
    throw new Failure(
      'CONFIG',
      `the directory at ${new URL(directoryUrl).origin} wants the password of ${username}: member.password (WARREN_MEMBER_PASSWORD, or …_FILE)`,
    );
  return withSession(restDirectoryClient(directoryUrl), { username, password });
}
