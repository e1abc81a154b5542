import { createBus } from '../../services/bus/amqp-bus.ts';
import { rateOf } from './rate.ts';
import { callerRole, echoKey, type RpcCommand, type RpcResult } from './raw-rpc-messages.ts';

/** Calls the echo with so many requests in flight, as often as its parent says so. */
const bus = createBus({ urls: [process.argv[2] ?? ''], name: 'bench caller', role: callerRole });
const body = Buffer.alloc(1024, 'x');
await bus.ready();
process.on('message', (command: RpcCommand) => void measure(command).then(result => process.send?.(result)));
process.on('SIGTERM', () => void bus.close().then(() => process.exit()));
process.send?.('ready');

async function measure({ inFlight, seconds }: RpcCommand): Promise<RpcResult> {
  const latencies: number[] = [];
  let errors = 0;
  const startedAt = performance.now();
  const endsAt = startedAt + seconds * 1000;
  const line = async (): Promise<void> => {
    for (let before = performance.now(); before < endsAt; ) {
      try {
        await bus.request({ type: 'warren.bus.v1.Call', key: echoKey, body }, { deadlineMs: 10_000 });
      } catch {
        errors++;
      }
      const after = performance.now();
      latencies.push(after - before);
      before = after;
    }
  };
  await Promise.all(Array.from({ length: inFlight }, line));
  const took = (performance.now() - startedAt) / 1000;
  const { p50Ms, p99Ms } = rateOf(latencies, took);
  return { requests: latencies.length, seconds: took, p50Ms, p99Ms, errors };
}
