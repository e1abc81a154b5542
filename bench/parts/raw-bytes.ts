import { createBus } from '../../services/bus/amqp-bus.ts';
import { roles } from '../../services/bus/topology.ts';

/**
 * Bytes over the broker by the bus alone: messages of 64 KiB, of which at most 4 MiB are on their way, as a response's parts go. The
 * receiver says each half window how far it is.
 */
const [url = '', side] = process.argv.slice(2);
const messageBytes = 64 * 1024;
const window = 64;
const bus = createBus({ urls: [url], name: `bench ${side}`, role: roles.proxy([], 'classic') });
const body = Buffer.alloc(messageBytes, 'x');
let credit = 0;
let wake: () => void = () => {};
let received = 0;

if (side === 'receiver') {
  await bus.consume(
    { name: '', exclusive: true, why: 'bytes of the benchmark' },
    ({ body: { length } }) => {
      received += length / messageBytes;
      if (received % (window / 2) === 0)
        bus.send({ type: 'warren.proxy.v1.ResponseCredit', key: 'm.bench.job', body: Buffer.alloc(8) });
      return 'ack';
    },
    { noAck: true, bindings: () => [{ exchange: 'proxy.replies', key: 'bench' }] },
  );
} else {
  await bus.consume(
    { name: '', exclusive: true, why: 'credit of the benchmark' },
    () => {
      credit += window / 2;
      wake();
      return 'ack';
    },
    { noAck: true, bindings: () => [{ exchange: 'm', key: 'm.bench.job' }] },
  );
}
await bus.ready();

/** So many MiB, until the receiver has them all. */
async function send(mebibytes: number): Promise<void> {
  const messages = mebibytes * 16;
  credit = window;
  for (let sent = 0; sent < messages; sent++) {
    while (sent >= credit)
      await new Promise<void>(resolve => {
        wake = resolve;
      });
    void bus.publish({ type: 'warren.proxy.v1.Parts', key: 'bench', body });
  }
  while (credit < messages + window)
    await new Promise<void>(resolve => {
      wake = resolve;
    });
}

process.on('message', ({ mebibytes }: { mebibytes: number }) => {
  const startedAt = performance.now();
  void send(mebibytes).then(() => process.send?.({ perSecond: mebibytes / ((performance.now() - startedAt) / 1000) }));
});
process.on('SIGTERM', () => void bus.close().then(() => process.exit()));
process.send?.('ready');
