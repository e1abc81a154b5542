import { resolve } from 'node:path';
import type { Run } from '../cli/io.ts';
import { shortId } from '../lib/identity/member-id.ts';
import { aborted } from '../lib/stop.ts';
import { startMember } from './member.ts';

/** Several daemons on one machine find a port each. */
const usualPorts = Array.from({ length: 50 }, (_, at) => 50_051 + at);
const usualRingPorts = Array.from({ length: 100 }, (_, at) => 7_001 + at);

/** `warren member`: serves until `stop` aborts, or the owner asks it to end. */
export const run: Run = async (config, stop, io) => {
  const ending = new AbortController();
  stop.addEventListener('abort', () => ending.abort());
  if (stop.aborted) ending.abort();
  const { port } = config.member;
  const member = await startMember(
    {
      warn: line => io.err(`member: ${line}\n`),
      log: line => io.out(`${line}\n`),
      onStop: () => ending.abort(),
    },
    {
      ...config.member,
      dataDir: resolve(io.cwd, config.data.dir),
      ports: port === undefined ? usualPorts : [port],
      isRingOnly: config.chord.only,
      ring: { ...config.chord, ports: config.chord.port === undefined ? usualRingPorts : [config.chord.port] },
    },
  );
  try {
    const { id, name, account } = member;
    io.out(`member ${shortId(id)} (${name}, account ${account}) serves members on port ${member.port}\n`);
    io.out(`its owner is served at ${member.ownerPlace}\n`);
    // Refused or not: the account may come back, and the owner is told why it is not up.
    member.bus.ready(ending.signal).then(
      () => io.out('member is up\n'),
      () => {},
    );
    await aborted(ending.signal);
  } finally {
    await member.close();
  }
};
