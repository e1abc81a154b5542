import { onTestFinished } from 'vitest';
import { ContentKind } from '../../../proto/gen/warren/peer/v1/peer.ts';
import { createBus } from '../../../services/bus/amqp-bus.ts';
import type { Bus } from '../../../services/bus/bus.ts';
import { roles } from '../../../services/bus/topology.ts';
import { announcementOf, directoryClient } from '../../../services/directory/client.ts';
import type { MemberKeys } from '../../../services/lib/identity/keys.ts';
import { type Handlers, served } from '../../../services/lib/rpc/definition.ts';
import { startDaemon } from '../../../services/member/daemon.ts';
import { keptMemberKeys, readMembership } from '../../../services/member/home.ts';
import { Revocations } from '../../../services/member/revocations.ts';
import { pieceBytes } from '../../../services/peer/merkle.ts';
import { SwarmService } from '../../../services/peer/piece-frame.ts';
import { framesOf, sourceOfBytes } from '../../../services/peer/piece-source.ts';
import type { Network } from '../../directory/network-of-processes.ts';
import type { SampleContent } from './content.ts';
import { Member } from './member.ts';

export type Swarm = Handlers<SwarmService>;

/** A member with a daemon of its own making: joined as any other, and it says to others what it likes. */
export interface Liar {
  readonly keys: MemberKeys;
  readonly bus: Bus;
  /** How often it was asked for pieces. */
  readonly asked: () => number;
  announce(id: string, name: string, size: number): Promise<void>;
}

let counter = 1_000;

/** Honest about one content, but for what is given. */
export async function startLiar(network: Network, content: SampleContent, lies: Partial<Swarm>): Promise<Liar> {
  const { home } = await Member.join(network, `mallory${counter++}`);
  const membership = await readMembership(home);
  if (membership === undefined) throw new Error('it has not joined');
  const { brokerUrls, authorityCertificate, certificate, directoryAccount } = membership;
  const keys = await keptMemberKeys(home);
  const warn = (): void => {};
  const bus = createBus({ urls: brokerUrls, name: 'liar', role: roles.member() }, warn);
  const revocations = new Revocations({ bus, authorityCertificate, directoryAccount, warn });
  let asked = 0;
  const swarm: Swarm = { ...honest(content), ...lies };
  const counted: Swarm = {
    ...swarm,
    fetchPieces: (...call) => {
      asked++;
      return swarm.fetchPieces(...call);
    },
  };
  const daemon = await startDaemon(
    {
      ...{
        bus,
        openBus: () => bus,
        keys,
        revocations,
        warn,
        log: warn,
        now: () => Date.now(),
        clock: () => performance.now(),
      },
      ...{ random: Math.random, onStop: warn, isDirectoryOverBus: true },
      directory: directoryClient(bus, directoryAccount === undefined ? {} : { from: directoryAccount }),
      parts: [
        async () => ({
          ...{ name: 'files', forMembers: [served(SwarmService, counted)], forMembersByBus: [], forOwner: [] },
          ...{ status: () => [], close: async () => {} },
        }),
      ],
    },
    {
      ...{ dataDir: home, name: 'liar', authorityCertificate, certificate, host: '127.0.0.1', ports: [0] },
      ...{ advertise: [], brokerHost: '127.0.0.1', queueType: 'classic' },
    },
  );
  revocations.start();
  await bus.ready();
  onTestFinished(async () => {
    await daemon.close();
    revocations.close();
    await bus.close(200);
  });
  return {
    keys,
    bus,
    asked: () => asked,
    announce: (id, name, size) =>
      bus.publish(
        announcementOf(keys, {
          ...{ counter: counter++, removed: [], snapshot: undefined },
          files: [{ id, name, size, modifiedMs: 0 }],
        }),
      ),
  };
}

function honest({ bytes, head, leaves }: SampleContent): Swarm {
  const holding = { isComplete: true, map: Buffer.alloc(0), added: [], coming: [], others: [] };
  return {
    getManifest: async () => ({
      ...{ length: head.length, partRoots: Buffer.from(head.partRoots), leaves: Buffer.from(leaves) },
      kind: head.kind === 'file' ? ContentKind.CONTENT_KIND_FILE : ContentKind.CONTENT_KIND_FOLDER,
    }),
    fetchPieces: ({ runs }) => framesOf(sourceOfBytes(bytes), runs, () => 256 * 1024),
    async *fetchSmall({ ids }) {
      if (bytes.length <= pieceBytes)
        yield { contents: ids.map((_, number) => ({ number, data: Buffer.from(bytes) })) };
    },
    getPieceMap: async () => ({ holding }),
    async *watchPieceMap(_request, { signal }) {
      yield { holding };
      await new Promise(resolve => signal.addEventListener('abort', resolve));
    },
    offer: async () => ({ verdict: 1, reason: '', detail: '' }),
  };
}
