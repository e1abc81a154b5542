import { onTestFinished } from 'vitest';
import { ChordServiceDefinition } from '../../../proto/gen/warren/chord/v1/chord.ts';
import type { Client } from '../../../services/lib/rpc/definition.ts';
import { type DaemonProcess, type JoinedHome, type Network, spawnDaemonOf } from '../../member/network.ts';

export interface RingProcess extends DaemonProcess {
  readonly home: JoinedHome;
  readonly ring: Client<typeof ChordServiceDefinition>;
  readonly address: string;
  /** Where its REST is. */
  rest(): Promise<string>;
}

/** `warren chord`: a node of the ring and nothing else, as a process of its own. */
export async function spawnNode(network: Network, ...more: string[]): Promise<RingProcess> {
  const home = await network.join('ann');
  const daemon = await spawnDaemonOf(
    'chord',
    home.dir,
    '--port',
    '0',
    '--ring-port',
    '0',
    '--host',
    '127.0.0.1',
    ...more,
  );
  onTestFinished(async () => {
    daemon.connection.close();
    await daemon.process[Symbol.asyncDispose]();
  }, 30_000);
  return {
    ...daemon,
    home,
    ring: daemon.connection.client(ChordServiceDefinition),
    address: `127.0.0.1:${daemon.port}`,
    async rest() {
      const { parts } = await daemon.owner.status({});
      const [line] = parts.flatMap(({ lines }) => lines.filter(text => text.startsWith('REST at ')));
      return new URL(line?.slice('REST at '.length) ?? '').origin;
    },
  };
}
