import { type Channel, type ChannelModel, type ConfirmChannel, connect, type Options } from 'amqplib';
import { onTestFinished } from 'vitest';
import { brokerUrl } from '../support/broker.ts';
import { type Login, login, type Tune } from './wire/handshake.ts';
import { type Peer, patienceMs } from './wire/peer.ts';

/** A raw connection, logged in, with channel 1 open; cut when the test ends. */
export async function openPeer(tune?: Tune, as?: Login): Promise<Peer> {
  const peer = await login(brokerUrl(), tune, as);
  onTestFinished(() => peer.cut());
  await peer.openChannel(1);
  return peer;
}

/** An amqplib connection; closed when the test ends. Its errors are taken no notice of: tests of errors use a peer. */
export async function openClient(url: string | Options.Connect = brokerUrl()): Promise<ChannelModel> {
  const client = await connect(url, { noDelay: true, timeout: patienceMs });
  client.on('error', () => {});
  onTestFinished(() => client.close().catch(() => {}));
  return client;
}

export async function openChannel(client?: ChannelModel): Promise<Channel> {
  const channel = await (client ?? (await openClient())).createChannel();
  channel.on('error', () => {});
  return channel;
}

export async function openConfirmChannel(client?: ChannelModel): Promise<ConfirmChannel> {
  const channel = await (client ?? (await openClient())).createConfirmChannel();
  channel.on('error', () => {});
  return channel;
}

/** Publishes and waits for the verdict of the broker. Rejects on a nack. */
export function publishConfirmed(
  channel: ConfirmChannel,
  exchange: string,
  routingKey: string,
  body: string | Buffer = '',
  options: Options.Publish = {},
): Promise<void> {
  return new Promise((resolve, reject) => {
    channel.publish(exchange, routingKey, Buffer.from(body), options, error => (error ? reject(error) : resolve()));
  });
}

export interface Left {
  readonly queues?: readonly string[];
  readonly exchanges?: readonly string[];
}

/** Deletes when the test ends what would outlive its connections. */
export function removeAfterTest({ queues = [], exchanges = [] }: Left, url = brokerUrl()): void {
  onTestFinished(async () => {
    using peer = await login(url);
    await peer.openChannel(1);
    for (const queue of queues) await peer.call(1, 'queue.delete', { queue });
    for (const exchange of exchanges) await peer.call(1, 'exchange.delete', { exchange });
  });
}
