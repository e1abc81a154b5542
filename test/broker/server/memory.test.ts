import { once } from 'node:events';
import { connect } from 'amqplib';
import { expect, onTestFinished, test } from 'vitest';
import { type EmbeddedBroker, startEmbeddedBroker } from '../../../services/broker/broker.ts';
import { frameType } from '../../compliance/wire/codec.ts';
import { login } from '../../compliance/wire/handshake.ts';
import type { Peer } from '../../compliance/wire/peer.ts';
import { encodeHeader, encodeProperties } from '../../compliance/wire/properties.ts';
import { until } from '../../support/until.ts';

const mebibyte = 2 ** 20;

async function start(memoryLimit?: number): Promise<{ broker: EmbeddedBroker; url: string }> {
  const broker = await startEmbeddedBroker(
    {
      dir: undefined,
      host: '127.0.0.1',
      port: 0,
      account: { user: 'u', password: 'p' },
      version: '0.0.0',
      ...(memoryLimit === undefined ? {} : { memoryLimit }),
    },
    line => {
      throw new Error(line);
    },
  );
  onTestFinished(() => broker.close());
  return { broker, url: `amqp://u:p@127.0.0.1:${broker.port}` };
}

test('what a consumer does not read stays in its queue, and little of it on its way', async () => {
  const { broker, url } = await start();
  using sleeper = await login(url);
  await sleeper.openChannel(1);
  await sleeper.call(1, 'queue.declare', { queue: 'q', exclusive: true });
  await sleeper.call(1, 'basic.consume', { queue: 'q', noAck: true });
  sleeper.socket.pause();
  const client = await connect(url, { noDelay: true });
  onTestFinished(() => client.close());
  const channel = await client.createConfirmChannel();
  for (let i = 0; i < 600; i++) channel.sendToQueue('q', Buffer.alloc(100_000));
  await channel.waitForConfirms();
  const [asleep] = [...broker.server.connections()];
  expect(asleep?.outbox.unsentBytes).toBeLessThan(mebibyte + 200_000);
  // Some of it is in the buffers of two sockets; by far the most is not.
  const [queue] = [...broker.server.broker.queues()];
  expect(queue?.messageCount).toBeGreaterThan(400);
  sleeper.socket.resume();
  for (let i = 0; i < 600; i++) expect((await sleeper.message(1)).body.length).toBe(100_000);
  expect(broker.server.broker.heldBytes).toBe(0);
});

test('publishers are blocked while too much is in memory, and go on when it is less', async () => {
  const { broker, url } = await start(10 * mebibyte);
  const client = await connect(url, { noDelay: true });
  onTestFinished(() => client.close());
  const channel = await client.createChannel();
  const { queue } = await channel.assertQueue('', { exclusive: true });
  const blocked = once(client, 'blocked');
  for (let i = 0; i < 12; i++) channel.sendToQueue(queue, Buffer.alloc(mebibyte));
  expect(await blocked).toEqual(['low on memory']);
  expect(broker.server.alarm).toBe('low on memory');
  const unblocked = once(client, 'unblocked');
  const other = await connect(url, { noDelay: true });
  onTestFinished(() => other.close());
  broker.server.broker.deleteQueue(queue, [...broker.server.connections()][0] ?? {}, {
    ifUnused: false,
    ifEmpty: false,
  });
  await unblocked;
  await until(
    () => broker.server.broker.heldBytes,
    bytes => bytes === 0,
  );
});

test.for<[string, (peer: Peer) => Promise<void>]>([
  [
    'bodies that never end',
    async peer => {
      // All before the first body: once it is blocked nobody answers.
      for (let channel = 2; channel < 50; channel++) await peer.openChannel(channel);
      for (let channel = 2; channel < 50; channel++) {
        peer.send(channel, 'basic.publish', {});
        peer.sendFrame(frameType.header, channel, encodeHeader(3 * mebibyte, encodeProperties({})));
        for (let i = 0; i < 20; i++) peer.sendFrame(frameType.body, channel, Buffer.alloc(100_000));
      }
    },
  ],
  [
    'a stream that is not on disk',
    async peer => {
      await peer.call(1, 'queue.declare', { queue: 's', durable: true, arguments: { 'x-queue-type': 'stream' } });
      for (let i = 0; i < 12; i++) peer.publish(1, { routingKey: 's', body: Buffer.alloc(mebibyte) });
    },
  ],
])('%s count, and block whoever sends them', async ([, fill]) => {
  const { broker, url } = await start(10 * mebibyte);
  using peer = await login(url);
  await peer.openChannel(1);
  await fill(peer);
  const connections = (): boolean[] => [...broker.server.connections()].map(({ isBlocked }) => isBlocked);
  await until(connections, ([isBlocked]) => isBlocked === true);
  expect(broker.server.alarm).toBe('low on memory');
});
