import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { onTestFinished } from 'vitest';
import { MemberServiceDefinition } from '../../../proto/gen/warren/member/v1/member.ts';
import { SessionServiceDefinition } from '../../../proto/gen/warren/member/v1/session.ts';
import {
  ContentKind,
  PeerServiceDefinition,
  type SourceProgress,
  SourceState,
  type Transfer,
  TransferDirection,
  TransferPhase,
} from '../../../proto/gen/warren/peer/v1/peer.ts';
import { CallFailure } from '../../../services/lib/rpc/call-failure.ts';
import { type Handlers, served } from '../../../services/lib/rpc/definition.ts';
import { startOwnerEndpoint } from '../../../services/member/owner-endpoint.ts';
import { temporaryDir } from '../../support/broker.ts';

/**
 * A member's endpoint for its owner whose answers a test says: for what the command line shows in states that a real member is seldom
 * in. Transfers between real ones are in `files.broker.test.ts`.
 */
export type Script = Partial<Handlers<typeof PeerServiceDefinition>>;

const up = { up: true, reason: '', sinceMs: 0n };

/** @returns its data directory */
export async function startScriptedMember(script: Script): Promise<string> {
  const dir = await temporaryDir();
  await mkdir(join(dir, 'member'), { mode: 0o700 });
  const none = async (): Promise<never> => {
    throw new CallFailure('UNIMPLEMENTED', 'SCRIPT', 'not in this script');
  };
  const peer = Object.fromEntries(Object.keys(PeerServiceDefinition.methods).map(name => [name, none])) as unknown;
  const status = () => ({
    ...{ memberId: 'ab'.repeat(32), name: 'burrow', account: 'ann', version: '1', pid: 1, uptimeMs: 1n },
    ...{ grpcAddress: '*:1', advertised: [], broker: up, directory: up, certificateLeftMs: 1n, connectedMembers: 0 },
    parts: [],
  });
  const member: Handlers<typeof MemberServiceDefinition> = {
    status: async () => status(),
    async *watchSystem(_request, { signal }) {
      yield { member: status(), proxies: [] };
      await wait(60_000, undefined, { signal }).catch(() => {});
    },
    contact: none,
    stop: none,
  };
  let isLoggedIn = true;
  const session: Handlers<typeof SessionServiceDefinition> = {
    async logIn() {
      isLoggedIn = true;
      return { account: 'ann', leaseMs: 30_000 };
    },
    async logOut() {
      isLoggedIn = false;
      return { isTold: true };
    },
    getSession: async () => ({ account: 'ann', isLoggedIn }),
  };
  const endpoint = await startOwnerEndpoint(
    dir,
    [
      served(PeerServiceDefinition, { ...(peer as Handlers<typeof PeerServiceDefinition>), ...script }),
      served(MemberServiceDefinition, member),
      served(SessionServiceDefinition, session),
    ],
    () => {},
  );
  onTestFinished(() => endpoint.close(100));
  return dir;
}

export function transfer(rest: Partial<Transfer> = {}): Transfer {
  return {
    transferId: 't1',
    direction: TransferDirection.TRANSFER_DIRECTION_DOWN,
    state: TransferPhase.TRANSFER_PHASE_MOVING,
    fileId: '1f'.repeat(32),
    path: 'papers/report.pdf',
    kind: ContentKind.CONTENT_KIND_FILE,
    length: 64 * 1024 * 1024,
    verified: 16 * 1024 * 1024,
    rate: 4 * 1024 * 1024,
    leftMs: 12_000,
    sources: [source()],
    ...{ reason: '', detail: '' },
    ...rest,
  };
}

export function source(rest: Partial<SourceProgress> = {}): SourceProgress {
  return {
    memberId: 'cd'.repeat(32),
    name: 'bob',
    state: SourceState.SOURCE_STATE_MOVING,
    isRelayed: false,
    bytes: 16 * 1024 * 1024,
    rate: 4 * 1024 * 1024,
    detail: '',
    ...rest,
  };
}
