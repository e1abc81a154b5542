import { mkdir } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join, resolve } from 'node:path';
import { createBus } from '../bus/amqp-bus.ts';
import { roles } from '../bus/topology.ts';
import type { Run } from '../cli/io.ts';
import { directoryClient } from '../directory/client.ts';
import { claim } from '../lib/claim.ts';
import { Failure } from '../lib/failure.ts';
import { certificateFacts } from '../lib/identity/authority.ts';
import { shortId } from '../lib/identity/member-id.ts';
import { aborted } from '../lib/stop.ts';
import { startDaemon } from './daemon.ts';
import { keptMemberKeys, memberDir, readMembership } from './home.ts';

/** Several daemons on one machine find a port each. */
const usualPorts = Array.from({ length: 50 }, (_, at) => 50_051 + at);

/** `warren member`: serves until `stop` aborts, or the owner asks it to end. */
export const run: Run = async (config, stop, io) => {
  const dataDir = resolve(io.cwd, config.data.dir);
  const membership = await readMembership(dataDir);
  if (membership === undefined) throw new Failure('MEMBER_NOT_JOINED', 'this home has not joined: warren join LINE');
  const dir = memberDir(dataDir);
  await mkdir(dir, { recursive: true, mode: 0o700 });
  const mine = await claim(join(dir, 'owner'));
  if ('heldBy' in mine)
    throw new Failure(
      'MEMBER_HELD',
      `process ${mine.heldBy} is the daemon of ${dir} already: stop that one, or choose another --data`,
    );
  const keys = await keptMemberKeys(dataDir);
  const warn = (line: string): void => io.err(`member: ${line}\n`);
  const log = (line: string): void => io.out(`${line}\n`);
  const ending = new AbortController();
  stop.addEventListener('abort', () => ending.abort());
  const { brokerUrls, queueType, authorityCertificate, certificate } = membership;
  const { account } = certificateFacts(certificate);
  const { name = hostname(), host, port, advertise } = config.member;
  const bus = createBus({ urls: brokerUrls, name: `warren member ${shortId(keys.id)}`, role: roles.member() }, warn);
  try {
    const daemon = await startDaemon(
      {
        ...{ bus, keys, warn, log },
        directory: directoryClient(bus),
        isDirectoryOverBus: true,
        revocations: { isRevoked: () => false, isRevokedMember: () => false, onRevoked: () => () => {} },
        parts: [],
        now: () => Date.now(),
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
      await daemon.close();
    }
  } finally {
    await bus.close();
    await mine.release();
  }
};
