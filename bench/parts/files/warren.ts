import { createAuthority } from '../../../services/lib/identity/authority.ts';
import type { MemberId } from '../../../services/lib/identity/member-id.ts';
import type { Children } from '../children.ts';
import { accountFor, memberOf } from '../members.ts';
import { ours } from './aims.ts';
import type { Carrier } from './bus.ts';
import type { Contestant } from './contestant.ts';
import { tell, useScript } from './used.ts';
import type { PullOrder } from './warren-peer.ts';

interface Serving {
  readonly memberId: MemberId;
  readonly ids: Readonly<Record<string, string>>;
}

/**
 * Warren's own, from one member's server to another member's disk, every piece verified: over mutual TLS, or, with a carrier, sealed through
 * its broker, each with the broker account that members have.
 */
export async function warren(children: Children, carrier?: Carrier): Promise<Contestant> {
  const authority = await createAuthority(Date.now());
  const receiver = await memberOf(authority);
  const receiverBus = carrier && (await accountFor(carrier, receiver.id));
  const servings = new Map<string, Serving>();
  /** The same source behind a delaying relay has another address. */
  let last: Serving | undefined;
  return {
    ...(carrier === undefined
      ? { key: ours, name: 'Warren, mutual TLS, verified', mostSources: 3, route: 'direct', frameKiB: 256 }
      : {
          ...{ key: `${ours}-${carrier.key}`, name: `Warren, sealed over ${carrier.name}, verified`, mostSources: 1 },
          ...{ route: 'relay', frameKiB: 124, carriers: carrier.pids },
        }),
    takesFolders: true,
    async start(dir) {
      const { id, ...tls } = await memberOf(authority);
      const stdio = ['ignore', 'ignore', 'inherit', 'ipc'] as ('ignore' | 'inherit' | 'ipc')[];
      const bus = carrier === undefined ? [] : [await accountFor(carrier, id)];
      const child = children.startScript('warren source', 'files/warren-peer.ts', ['source', dir, ...bus], { stdio });
      const { port, ids } = (await tell(child, { tls })) as { port: number; ids: Record<string, string> };
      const address = carrier === undefined ? `127.0.0.1:${port}` : id;
      last = { memberId: id, ids };
      servings.set(address, last);
      return { address, pids: [child.pid] };
    },
    fetch(addresses, { name }, to) {
      const sources = addresses.map(address => ({ address, ...(servings.get(address) ?? last) }));
      const order = {
        credentials: receiver,
        sources: sources.map(({ address, memberId }) => ({
          memberId,
          addresses: carrier === undefined ? [address] : [],
        })),
        ...{ id: sources[0]?.ids?.[name], name, to },
      };
      const script = {
        name: 'warren receiver',
        file: 'files/warren-peer.ts',
        args: ['receiver', '', ...(receiverBus === undefined ? [] : [receiverBus])],
      };
      return useScript(children, script, order satisfies Partial<Record<keyof PullOrder, unknown>>);
    },
  };
}
