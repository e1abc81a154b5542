import { type Authority, createAuthority, issueCertificate } from '../../../services/lib/identity/authority.ts';
import { createMemberKeys, formatMemberKeys } from '../../../services/lib/identity/keys.ts';
import type { MemberId } from '../../../services/lib/identity/member-id.ts';
import type { MemberCredentials } from '../../../services/lib/rpc/member-tls.ts';
import type { Children } from '../children.ts';
import type { Contestant } from './contestant.ts';
import { tell, useScript } from './used.ts';
import type { PullOrder } from './warren-peer.ts';

interface Serving {
  readonly memberId: MemberId;
  readonly ids: Readonly<Record<string, string>>;
}

/** Warren's own, from one member's server to another member's disk: mutual TLS, every piece verified. */
export async function warren(children: Children): Promise<Contestant> {
  const authority = await createAuthority(Date.now());
  const receiver = await memberOf(authority);
  const servings = new Map<string, Serving>();
  /** The same source behind a delaying relay has another address. */
  let last: Serving | undefined;
  return {
    ...{ key: 'warren', name: 'Warren, mutual TLS, verified', mostSources: 3, takesFolders: true, route: 'direct' },
    frameKiB: 256,
    async start(dir) {
      const { id, ...tls } = await memberOf(authority);
      const stdio = ['ignore', 'ignore', 'inherit', 'ipc'] as ('ignore' | 'inherit' | 'ipc')[];
      const child = children.startScript('warren source', 'files/warren-peer.ts', ['source', dir], { stdio });
      const { port, ids } = (await tell(child, { tls })) as { port: number; ids: Record<string, string> };
      const address = `127.0.0.1:${port}`;
      last = { memberId: id, ids };
      servings.set(address, last);
      return { address, pids: [child.pid] };
    },
    fetch(addresses, { name }, to) {
      const sources = addresses.map(address => ({ address, ...(servings.get(address) ?? last) }));
      const order = {
        credentials: receiver,
        sources: sources.map(({ address, memberId }) => ({ address, memberId })),
        ...{ id: sources[0]?.ids?.[name], name, to },
      };
      const script = { name: 'warren receiver', file: 'files/warren-peer.ts', args: ['receiver'] };
      return useScript(children, script, order satisfies Partial<Record<keyof PullOrder, unknown>>);
    },
  };
}

async function memberOf(authority: Authority): Promise<MemberCredentials & { readonly id: MemberId }> {
  const keys = createMemberKeys();
  const about = { publicKey: keys.publicKey, account: 'bench', now: Date.now(), days: 1 };
  const certificate = await issueCertificate(authority, about);
  return { id: keys.id, authorityCertificate: authority.certificate, certificate, key: formatMemberKeys(keys) };
}
