import { type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';
import { createBus } from '../../../services/bus/amqp-bus.ts';
import { roles } from '../../../services/bus/topology.ts';
import { BlockWriter } from './block-writer.ts';

/**
 * A file through one classic queue by the bus alone, in the clear and unchecked: `node bus-peer.ts URL source KEY DIR` or
 * `node bus-peer.ts URL receiver KEY`, where KEY is the source's. The receiver says each half window how far the source may go, as a relayed transfer does.
 */
const [url = '', side = '', sourceKey = '', dir = ''] = process.argv.slice(2);
const bus = createBus({ urls: [url], name: `bench ${side}`, role: roles.proxy([], 'classic') });
const windowBytes = 4 * 2 ** 20;
/** Read at once, and cut into messages without copying. */
const readMessages = 16;

/** What the receiver asks for, at first and then with a higher limit each time. */
interface Credit {
  readonly transfer: string;
  readonly file: string;
  readonly messageBytes: number;
  /** Bytes from the file's beginning that may be sent. */
  readonly until: number;
}

export interface BusOrder {
  readonly file: string;
  readonly bytes: number;
  readonly to: string;
  readonly messageBytes: number;
}

async function serve(): Promise<void> {
  const running = new Map<string, { until: number; wake: () => void }>();
  async function send({ transfer, file, messageBytes, until }: Credit): Promise<void> {
    const state = { until, wake: () => {} };
    running.set(transfer, state);
    const handle = await open(join(dir, file));
    const { size } = await handle.stat();
    const readAt = async (at: number): Promise<Buffer> => {
      const buffer = Buffer.allocUnsafe(Math.min(readMessages * messageBytes, size - at));
      await handle.read(buffer, 0, buffer.length, at);
      return buffer;
    };
    let next = readAt(0);
    for (let at = 0; at < size; ) {
      const block = await next;
      if (at + block.length < size) next = readAt(at + block.length);
      for (let start = 0; start < block.length; start += messageBytes) {
        const body = block.subarray(start, start + messageBytes);
        while (at + body.length > state.until)
          await new Promise<void>(resolve => {
            state.wake = resolve;
          });
        void bus.publish({ type: 'warren.proxy.v1.Parts', key: transfer, body });
        at += body.length;
      }
    }
    running.delete(transfer);
    await handle.close();
  }
  await bus.consume(
    { name: '', exclusive: true, why: 'credit of the benchmark' },
    ({ body }) => {
      const credit = JSON.parse(String(body)) as Credit;
      const state = running.get(credit.transfer);
      if (state === undefined && credit.until <= windowBytes)
        send(credit).catch(error => process.stderr.write(`bench: bus source: ${error}\n`));
      if (state === undefined) return 'ack';
      state.until = credit.until;
      state.wake();
      return 'ack';
    },
    { noAck: true, bindings: () => [{ exchange: 'm', key: sourceKey }] },
  );
}

/** Where the parts go. */
let take: (part: Buffer) => void = () => {};
const transfer = `bench-${process.pid}`;

async function receive({ file, bytes, to, messageBytes }: BusOrder): Promise<void> {
  const handle: FileHandle = await open(join(to, file), 'wx');
  // Credit is what holds the source back.
  const writer = new BlockWriter(handle, 0, { pause: () => {}, resume: () => {} });
  let until = 0;
  const grant = (): void => {
    until = writer.end + windowBytes;
    const credit: Credit = { transfer, file, messageBytes, until };
    bus.send({ type: 'warren.proxy.v1.ResponseCredit', key: sourceKey, body: Buffer.from(JSON.stringify(credit)) });
  };
  await new Promise<void>(resolve => {
    take = part => {
      writer.take(part);
      if (writer.end === bytes) resolve();
      else if (until - writer.end <= windowBytes / 2) grant();
    };
    grant();
  });
  await writer.flush();
  await handle.close();
}

if (side === 'source') await serve();
else
  await bus.consume(
    { name: '', exclusive: true, why: 'bytes of the benchmark' },
    ({ body }) => {
      take(body);
      return 'ack';
    },
    { noAck: true, bindings: () => [{ exchange: 'proxy.replies', key: transfer }] },
  );
await bus.ready();
process.on('message', (order: BusOrder) => {
  const startedAt = performance.now();
  receive(order).then(
    () => process.send?.({ seconds: (performance.now() - startedAt) / 1000 }),
    error => process.send?.({ problem: String(error) }),
  );
});
process.on('SIGTERM', () => void bus.close().then(() => process.exit()));
process.send?.('ready');
