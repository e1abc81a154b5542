import { expect, test } from 'vitest';
import { createBus } from '../../services/bus/amqp-bus.ts';
import { chatIn } from '../../services/bus/queues.ts';
import { roles } from '../../services/bus/topology.ts';
import { ownBroker } from '../support/broker.ts';

test('a consumer that is closed by its channel has ended when the broker dies before it has answered', async () => {
  const broker = await ownBroker();
  const role = roles.directory('classic', ['room.net']);
  const bus = createBus({ urls: [broker.url], name: 'consumes', role });
  await bus.ready();
  const { queue } = chatIn('room.net', 'classic');
  const consumer = await bus.consume(queue, () => 'ack', { prefetch: 1, ending: 'channel', onEnd: () => {} });
  await broker.freeze();
  const closed = consumer.close();
  await broker.kill();
  expect(await closed).toBeUndefined();
  await bus.close(0);
}, 30_000);
