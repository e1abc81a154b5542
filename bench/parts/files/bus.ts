import { type Children, nextMessage } from '../children.ts';
import type { BusOrder } from './bus-peer.ts';
import type { Contestant } from './contestant.ts';
import { useScript } from './used.ts';

export interface Carrier {
  /** `embedded`, `rabbitmq`. */
  readonly key: string;
  readonly name: string;
  readonly url: string;
  /** Of its management API, with the account. */
  readonly httpUrl: string;
  readonly pids: readonly number[];
}

/** A file through a broker, by the bus alone: what any relayed transfer must pay at least. */
export function rawBus(children: Children, carrier: Carrier, frameKiB: number): Contestant {
  return {
    key: `bus-${carrier.key}-${frameKiB}`,
    name: `the raw bus over ${carrier.name}, ${frameKiB} KiB messages`,
    mostSources: 1,
    takesFolders: false,
    route: 'relay',
    frameKiB,
    carriers: carrier.pids,
    async start(dir) {
      const stdio = ['ignore', 'ignore', 'inherit', 'ipc'] as ('ignore' | 'inherit' | 'ipc')[];
      // Two sources on one key would both answer.
      const address = `m.bench.${carrier.key}-${frameKiB}`;
      const args = [carrier.url, 'source', address, dir];
      const child = children.startScript('bus source', 'files/bus-peer.ts', args, { stdio });
      await nextMessage(child, 60_000);
      return { address, pids: [child.pid] };
    },
    fetch([address = ''], { name, bytes }, to) {
      const order: BusOrder = { file: name, bytes, to, messageBytes: frameKiB * 1024 };
      return useScript(
        children,
        { name: 'bus receiver', file: 'files/bus-peer.ts', args: [carrier.url, 'receiver', address] },
        order,
      );
    },
  };
}
