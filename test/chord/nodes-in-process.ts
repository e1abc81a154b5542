import { AddressBook } from '../../services/chord/address-book.ts';
import type { OwnerHandlers } from '../../services/chord/chord-service.ts';
import { ownerHandlers } from '../../services/chord/chord-service.ts';
import { RingHost } from '../../services/chord/host.ts';
import { RingMetrics } from '../../services/chord/metrics.ts';
import { liveOptions } from '../../services/chord/ports.ts';
import { providersOn } from '../../services/chord/provider-port.ts';
import { signedOctets } from '../../services/chord/record.ts';
import { liveStorageOptions } from '../../services/chord/storage.ts';
import { viewOf } from '../../services/chord/view.ts';
import { peerOf } from '../../services/chord/wire.ts';
import { Changes } from '../../services/lib/changes.ts';
import { createMemberKeys, isSignedBy, memberIdOf, signAs } from '../../services/lib/identity/keys.ts';

export interface LocalNode {
  readonly host: RingHost;
  readonly owner: OwnerHandlers;
  readonly metrics: RingMetrics;
}

const context = 'warren.chord.v1.Record';

/** Nodes in this process and in real time: a call is a function. */
export function createNodes(): { nodes: LocalNode[]; add(): LocalNode; close(): void } {
  const hosts = new Map<string, RingHost>();
  const ending = new AbortController();
  const nodes: LocalNode[] = [];
  const options = { ...liveOptions, ...liveStorageOptions, stabilizeMs: 50, repairMs: 200 };
  const add = (): LocalNode => {
    const keys = createMemberKeys();
    const self = peerOf(keys.id, 0, '');
    const book = new AddressBook(keys.id, () => []);
    const host = new RingHost(
      {
        transportOf: from => ({
          call: async (to, call, request) => {
            const other = hosts.get(to.member);
            if (other === undefined) throw new Error('nobody there');
            return other.answer(to.id, call, request, from);
          },
        }),
        clock: {
          now: () => performance.now(),
          after(ms, act) {
            const timer = setTimeout(act, ms);
            return () => clearTimeout(timer);
          },
        },
        random: Math.random,
        writer: keys.id,
        sign: record => ({ publicKey: keys.publicKey, signature: signAs(keys, context, signedOctets(record)) }),
        isAuthentic: record =>
          memberIdOf(record.publicKey) === record.writer &&
          isSignedBy(record.publicKey, context, signedOctets(record), record.signature),
      },
      [self],
      options,
    );
    hosts.set(keys.id, host);
    const view = () => viewOf(host, book, options.r);
    const metrics = new RingMetrics(view);
    const owner = ownerHandlers({
      ...{ ring: host, book, ways: { lastWay: () => 'direct' as const }, changes: new Changes(), view },
      ...{ providers: providersOn(host.first, book), leave: () => host.leave(), ending: ending.signal },
    });
    const node = { host, owner: metrics.measure(owner), metrics };
    nodes.push(node);
    return node;
  };
  return {
    ...{ nodes, add },
    close() {
      ending.abort();
      for (const { host } of nodes) host.close();
    },
  };
}

/** Those of one ring. */
export async function startNodes(count: number): Promise<{ nodes: LocalNode[]; close(): void }> {
  const { nodes, add, close } = createNodes();
  await add().host.found();
  for (let left = count - 1; left > 0; left--) {
    const { host } = add();
    await host.join([nodes[0]?.host.first.node.self ?? host.first.node.self]);
  }
  return { nodes, close };
}
