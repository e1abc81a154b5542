import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { Client, credentials, Metadata } from '@grpc/grpc-js';
import type { MemberId } from '../../../services/lib/identity/member-id.ts';
import { type MemberCredentials, memberChannelCredentials } from '../../../services/lib/rpc/member-tls.ts';
import { BlockWriter } from './block-writer.ts';
import { pullRange } from './grpc-frames.ts';

export interface GrpcOrder {
  /** An equal share is pulled from each, on a connection of its own. */
  readonly addresses: readonly string[];
  readonly file: string;
  readonly bytes: number;
  readonly to: string;
  readonly frameBytes: number;
  readonly tls?: MemberCredentials & { readonly meant: MemberId };
}

/** Bytes on their way that are not acknowledged: the default of 64 KiB is 2 MiB/s at 20 ms. */
const windowBytes = 8 * 2 ** 20;

async function fetch({ addresses, file, bytes, to, frameBytes, tls }: GrpcOrder): Promise<void> {
  const handle = await open(join(to, file), 'wx');
  const channelCredentials =
    tls === undefined ? credentials.createInsecure() : memberChannelCredentials(tls, tls.meant);
  const share = Math.ceil(bytes / addresses.length / frameBytes) * frameBytes;
  const pull = async (address: string, index: number): Promise<void> => {
    const client = new Client(address, channelCredentials, {
      'grpc-node.flow_control_window': windowBytes,
      // Nobody checks it; without, Node warns that an IP address is no server name.
      'grpc.ssl_target_name_override': 'member',
    });
    const from = Math.min(bytes, index * share);
    const until = Math.min(bytes, from + share);
    const { path, requestSerialize, responseDeserialize } = pullRange;
    const call = client.makeServerStreamRequest(
      path,
      requestSerialize,
      responseDeserialize,
      { file, from, to: until, frameBytes },
      new Metadata(),
    );
    const writer = new BlockWriter(handle, from, { pause: () => call.pause(), resume: () => call.resume() });
    await new Promise<void>((resolve, reject) => {
      call.on('data', (frame: Buffer) => writer.take(frame));
      call.on('end', resolve).on('error', reject);
    });
    await writer.flush();
    client.close();
    if (writer.end !== until) throw new Error(`${address} sent ${writer.end - from} of ${until - from} bytes`);
  };
  await Promise.all(addresses.map(pull));
  await handle.close();
}

process.on('message', (order: GrpcOrder) => {
  const startedAt = performance.now();
  fetch(order).then(
    () => process.send?.({ seconds: (performance.now() - startedAt) / 1000 }),
    error => process.send?.({ problem: String(error) }),
  );
});
process.send?.('ready');
