import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { onTestFinished } from 'vitest';
import { ChordServiceDefinition } from '../../../proto/gen/warren/chord/v1/chord.ts';
import { PeerServiceDefinition, type Transfer, TransferPhase } from '../../../proto/gen/warren/peer/v1/peer.ts';
import type { MemberId } from '../../../services/lib/identity/member-id.ts';
import type { Client } from '../../../services/lib/rpc/definition.ts';
import { connectToDaemon } from '../../../services/lib/rpc/local-daemon.ts';
import { keptMemberKeys } from '../../../services/member/home.ts';
import type { Locate } from '../../../services/peer/locator.ts';
import type { Network } from '../../directory/network-of-processes.ts';
import { temporaryDir } from '../../support/broker.ts';
import { until } from '../../support/until.ts';
import { spawnWarren, type WarrenProcess } from '../../support/warren-process.ts';

/** A member that has joined by an invite, with a share of its own, as a process. */
export class Member {
  readonly home: string;
  readonly share: string;
  readonly id: MemberId;
  process!: WarrenProcess;
  /** As its owner. */
  peer!: Client<PeerServiceDefinition>;
  ring!: Client<ChordServiceDefinition>;
  #disconnect = (): void => {};

  private constructor(home: string, id: MemberId) {
    this.home = home;
    this.share = join(home, 'share');
    this.id = id;
  }

  /** @param on as of `start` */
  static async join(
    network: Pick<Network, 'invite'>,
    user: string,
    on: readonly string[] = [],
    env: Record<string, string> = {},
  ): Promise<Member> {
    const home = await temporaryDir();
    const argv = ['join', await network.invite(), '--data', home, '--user', user];
    await using joining = await spawnWarren(argv, { USER: 'ann', ...env }, on);
    if ((await joining.exit) !== 0) throw new Error(joining.lines.join('\n'));
    const member = new Member(home, (await keptMemberKeys(home)).id);
    await mkdir(member.share);
    // Outside of a test it is the caller's.
    try {
      onTestFinished(() => member.kill());
    } catch {}
    return member;
  }

  /** @param on what to begin the command with: a host of `hosts.ts` */
  async start(argv: readonly string[] = [], on: readonly string[] = []): Promise<this> {
    const flags = ['--data', this.home, '--share', this.share, '--port', '0'];
    this.process = await spawnWarren(['member', ...flags, ...argv], {}, on);
    await this.process.line(/^member is up$/);
    const connection = await connectToDaemon(this.home);
    this.peer = connection.client(PeerServiceDefinition);
    this.ring = connection.client(ChordServiceDefinition);
    this.#disconnect = () => connection.close();
    return this;
  }

  /** As `kill -9`. */
  async kill(): Promise<void> {
    this.#disconnect();
    await this.process?.[Symbol.asyncDispose]();
  }

  /** Until it is over. */
  async get(what: string, options: { to?: string; from?: string[]; locate?: Locate } = {}): Promise<Transfer> {
    try {
      return await ended(this.peer.get({ what, to: '', from: [], ...options }));
    } catch (error) {
      const { exitCode, signalCode } = this.process.child;
      if (exitCode === null && signalCode === null) throw error;
      throw new Error(`the daemon has ended:\n${this.process.lines.slice(-20).join('\n')}`, { cause: error });
    }
  }

  async put(what: string, to: string[] = []): Promise<Transfer> {
    return ended(this.peer.put({ what, to }));
  }

  /** Until the directory says that somebody has it. */
  async finds(words: string): Promise<string> {
    const { found } = await until(
      () => this.peer.search({ ...anything, words }),
      response => response.found.some(({ holders }) => holders > 0),
      30_000,
    );
    return found[0]?.fileId ?? '';
  }
}

/** Several, that are up. */
export async function startMembers(network: Network, ...users: string[]): Promise<Member[]> {
  return Promise.all(users.map(async user => (await Member.join(network, user)).start()));
}

const anything = { words: '', prefix: '', type: '', minLength: 0, maxLength: 0, limit: 0, after: '' };

export async function ended(
  stream: AsyncIterable<{ transfer: Transfer | undefined }>,
  seen: (transfer: Transfer) => void = () => {},
): Promise<Transfer> {
  let last: Transfer | undefined;
  for await (const { transfer } of stream) {
    last = transfer;
    if (transfer !== undefined) seen(transfer);
  }
  if (last === undefined) throw new Error('the stream ended without a transfer');
  return last;
}

/** Until it is as wanted; what is not read any more goes on. */
export async function seen(
  stream: AsyncIterable<{ transfer: Transfer | undefined }>,
  isMet: (transfer: Transfer) => boolean,
): Promise<Transfer> {
  for await (const { transfer } of stream) if (transfer !== undefined && isMet(transfer)) return transfer;
  throw new Error('the stream ended before');
}

export function bytesFrom({ sources }: Transfer, member: Member): number {
  return sources.find(({ memberId }) => memberId === member.id)?.bytes ?? 0;
}

export const done = { state: TransferPhase.TRANSFER_PHASE_DONE };

export async function sha256Of(path: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path), hash);
  return hash.digest('hex');
}
