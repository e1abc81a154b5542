import type { Children } from '../children.ts';
import type { Contestant } from './contestant.ts';
import type { GrpcOrder } from './grpc-receiver.ts';
import type { MemberTls } from './member-certificates.ts';
import { tell, useScript } from './used.ts';

/** Server streaming by grpc-js and nothing else: no check of what comes. @param certificates absent: plaintext */
export function rawGrpc(children: Children, frameKiB: number, certificates?: MemberTls): Contestant {
  const isTls = certificates !== undefined;
  return {
    key: `grpc-${isTls ? 'tls' : 'plain'}-${frameKiB}`,
    name: `raw grpc-js, ${isTls ? 'mutual TLS' : 'plaintext'}, ${frameKiB} KiB frames`,
    mostSources: 3,
    takesFolders: false,
    route: 'direct',
    frameKiB,
    async start(dir) {
      const stdio = ['ignore', 'ignore', 'inherit', 'ipc'] as ('ignore' | 'inherit' | 'ipc')[];
      const child = children.startScript('grpc source', 'files/grpc-source.ts', [dir], { stdio });
      const { port } = (await tell(child, { tls: certificates?.source })) as { port: number };
      return { address: `127.0.0.1:${port}`, pids: [child.pid] };
    },
    fetch(addresses, { name, bytes }, to) {
      const tls = certificates && { ...certificates.receiver, meant: certificates.sourceId };
      const common = { addresses, file: name, bytes, to, frameBytes: frameKiB * 1024 };
      const order: GrpcOrder = tls === undefined ? common : { ...common, tls };
      return useScript(children, { name: 'grpc receiver', file: 'files/grpc-receiver.ts' }, order);
    },
  };
}
