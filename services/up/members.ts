import { join as joinPath } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import type { Config } from '../config/config.ts';
import { directoryClient } from '../directory/client.ts';
import { messageOf } from '../lib/failure.ts';
import { readMembership } from '../member/home.ts';
import { join } from '../member/join.ts';
import { type Member, startMember } from '../member/member.ts';
import { prepareSamples } from '../member/samples.ts';

export interface MembersNeeds {
  /** Makes a line to join with, for a user. */
  readonly invite: (username: string) => Promise<string>;
  readonly log: (line: string) => void;
  readonly signal: AbortSignal;
}

export interface MembersOptions {
  readonly dataDir: string;
  readonly brokerUrls: readonly string[];
  /** Of the first one; 0: any. The others take the next that are free. */
  readonly port: number;
  readonly chat: Config['chat'];
}

export interface SampleMember {
  readonly name: string;
  /** The home that it runs from, for `--data`. */
  readonly dataDir: string;
  readonly member: Member;
}

/** Users of the sample members; each has one machine. */
/** REST of the first one's node on the ring. */
const ringPort = 7_001;

const names = ['ann', 'bob', 'cleo'] as const;
/** All in milliseconds. */
const patienceMs = 5_000;
const pollMs = 50;

/**
 * Three members on this machine, as three others would be: each has a home of its own, `<data>/members/<name>`, which joins by an
 * invite at the first start, and shares a few sample files. A home that cannot join is left out, with a line that says why.
 */
export async function startMembers(
  { invite, log, signal }: MembersNeeds,
  { dataDir, brokerUrls, port, chat }: MembersOptions,
): Promise<SampleMember[]> {
  const started: SampleMember[] = [];
  try {
    for (const [at, name] of names.entries()) {
      const home = joinPath(dataDir, 'members', name);
      const say = (line: string): void => log(`${name}: ${line}`);
      if ((await readMembership(home)) === undefined) {
        try {
          await join({ line: await invite(name), dataDir: home, signal });
          // Once: what is deleted stays so.
          await prepareSamples(joinPath(home, 'share'), at);
        } catch (error) {
          if (signal.aborted) throw error;
          log(`there are no members here: ${messageOf(error)}`);
          break;
        }
      }
      const member = await startMember(
        { warn: say, log: say, onStop: () => say('goes on: it ends with warren up') },
        {
          ...{ dataDir: home, name, host: '127.0.0.1', advertise: [], brokerAt: brokerUrls, chat },
          ports: port === 0 ? [0] : Array.from({ length: 50 }, (_, next) => port + at + next),
          ring: {
            ...{ join: [], virtualNodes: 1, host: '127.0.0.1' },
            ports: Array.from({ length: 100 }, (_, next) => ringPort + at + next),
          },
        },
      );
      started.push({ name, dataDir: home, member });
      await member.ready(signal);
    }
  } catch (error) {
    await closeMembers(started);
    throw error;
  }
  return started;
}

/** Until the directory can say who has a file; false when it cannot within some seconds. */
export async function isShared(members: readonly SampleMember[], file: string, signal: AbortSignal): Promise<boolean> {
  const [first] = members;
  if (first === undefined) return false;
  const directory = directoryClient(first.member.bus);
  const deadline = AbortSignal.any([signal, AbortSignal.timeout(patienceMs)]);
  while (!deadline.aborted) {
    try {
      await directory.download({ token: '', file, all: false }, { signal: deadline });
      return true;
    } catch {
      await wait(pollMs, undefined, { signal: deadline }).catch(() => {});
    }
  }
  return false;
}

export async function closeMembers(members: readonly SampleMember[]): Promise<void> {
  await Promise.all(members.map(({ member }) => member.close()));
}
