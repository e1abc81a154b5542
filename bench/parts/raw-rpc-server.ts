import { createBus } from '../../services/bus/amqp-bus.ts';
import { callerRole, echoKey } from './raw-rpc-messages.ts';

/** Answers every call with its own body, and acks it, as a worker does. */
const bus = createBus({ urls: [process.argv[2] ?? ''], name: 'bench echo', role: callerRole });
await bus.consume(
  { name: '', exclusive: true, why: 'calls to the benchmark echo' },
  ({ body, replyTo, correlationId }) => {
    if (replyTo !== undefined && correlationId !== undefined)
      bus.send({ type: 'warren.bus.v1.Answer', key: replyTo, correlationId, body });
    return 'ack';
  },
  { prefetch: 1024, bindings: () => [{ exchange: 'm', key: echoKey }] },
);
await bus.ready();
process.send?.('ready');
process.on('SIGTERM', () => void bus.close().then(() => process.exit()));
