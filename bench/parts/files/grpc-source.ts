import { once } from 'node:events';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { Server, ServerCredentials, type ServerWritableStream } from '@grpc/grpc-js';
import { type MemberCredentials, memberServerCredentials } from '../../../services/lib/rpc/member-tls.ts';
import { pullRange, type RangeRequest } from './grpc-frames.ts';

/** Serves ranges of the files of a folder: `node grpc-source.ts DIR`, and credentials (or none) over IPC. */
const [dir = '.'] = process.argv.slice(2);
/** Read at once, and cut into frames without copying. */
const readBytes = 2 ** 20;

async function send(call: ServerWritableStream<RangeRequest, Buffer>): Promise<void> {
  const { file, from, to, frameBytes } = call.request;
  const handle = await open(join(dir, file));
  try {
    const readAt = async (at: number): Promise<Buffer> => {
      const buffer = Buffer.allocUnsafe(Math.min(readBytes, to - at));
      const { bytesRead } = await handle.read(buffer, 0, buffer.length, at);
      return buffer.subarray(0, bytesRead);
    };
    let next = readAt(from);
    for (let at = from; at < to; ) {
      const block = await next;
      at += block.length;
      if (at < to) next = readAt(at);
      for (let start = 0; start < block.length; start += frameBytes)
        if (!call.write(block.subarray(start, start + frameBytes))) await once(call, 'drain');
    }
    call.end();
  } finally {
    await handle.close();
  }
}

process.once('message', ({ tls }: { tls?: MemberCredentials }) => {
  const server = new Server();
  server.addService(
    { pull: pullRange },
    {
      pull: (call: ServerWritableStream<RangeRequest, Buffer>) => void send(call).catch(error => call.destroy(error)),
    },
  );
  const credentials = tls === undefined ? ServerCredentials.createInsecure() : memberServerCredentials(tls);
  server.bindAsync('127.0.0.1:0', credentials, (error, port) =>
    process.send?.(error === null ? { port } : { problem: String(error) }),
  );
});
process.on('SIGTERM', () => process.exit());
