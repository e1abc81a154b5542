import { join, resolve } from 'node:path';
import type { Io, Run } from '../cli/io.ts';
import { shortId } from '../lib/identity/member-id.ts';
import { aborted } from '../lib/stop.ts';
import { readMembership } from './home.ts';
import { joinByFile } from './join-by-file.ts';
import { startMember } from './member.ts';
import { prepareSamples } from './samples.ts';
import { systemUser } from './system-user.ts';

/** Several daemons on one machine find a port each. */
const usualPorts = Array.from({ length: 50 }, (_, at) => 50_051 + at);
const usualRingPorts = Array.from({ length: 100 }, (_, at) => 7_001 + at);

/** `warren member`: serves until `stop` aborts, or the owner asks it to end. */
export const run: Run = async (config, stop, io) => {
  const ending = new AbortController();
  stop.addEventListener('abort', () => ending.abort());
  if (stop.aborted) ending.abort();
  const dataDir = resolve(io.cwd, config.data.dir);
  const { inviteFile, samples, port } = config.member;
  const share = config.member.share === undefined ? undefined : resolve(io.cwd, config.member.share);
  if (inviteFile !== undefined && (await readMembership(dataDir)) === undefined) {
    await joinFirst(resolve(io.cwd, inviteFile), dataDir, io, ending.signal);
    // Once: what is deleted stays so.
    if (samples !== undefined && !ending.signal.aborted)
      await prepareSamples(share ?? join(dataDir, 'share'), samples - 1);
  }
  if (ending.signal.aborted) return;
  const member = await startMember(
    {
      warn: line => io.err(`member: ${line}\n`),
      log: line => io.out(`${line}\n`),
      onStop: () => ending.abort(),
    },
    {
      ...config.member,
      share,
      dataDir,
      ports: port === undefined ? usualPorts : [port],
      isRingOnly: config.chord.only,
      chat: config.chat,
      ring: { ...config.chord, ports: config.chord.port === undefined ? usualRingPorts : [config.chord.port] },
    },
  );
  try {
    const { id, name, account } = member;
    io.out(`member ${shortId(id)} (${name}, account ${account}) serves members on port ${member.port}\n`);
    io.out(`its owner is served at ${member.ownerPlace}\n`);
    // Refused or not: the account may come back, and the owner is told why it is not up.
    member.ready(ending.signal).then(
      () => io.out('member is up\n'),
      () => {},
    );
    await aborted(ending.signal);
  } finally {
    await member.close();
  }
};

/** Resolves as well when the signal aborts before it has joined. @throws Failure MEMBER_HOME */
async function joinFirst(file: string, dataDir: string, io: Io, signal: AbortSignal): Promise<void> {
  const say = (line: string): void => io.out(`${line}\n`);
  const warn = (line: string): void => io.err(`member: ${line}\n`);
  const options = { file, dataDir, username: systemUser(io.env) };
  await joinByFile({ say, warn, random: Math.random }, options, signal);
}
