import { type ChannelModel, type ConfirmChannel, connect } from 'amqplib';
import { patienceMs } from '../compliance/wire/peer.ts';

/** Its durable queues, one of each type, by the name that they have as binding keys as well. */
export const queues = ['classic', 'quorum', 'stream'] as const;
export type QueueName = (typeof queues)[number];

const exchange = 'crash';
/** Unconfirmed at a time, in each queue. */
const window = 64;

/** What one life of the broker was seen to confirm, by queue: numbers that ascend. */
export type Confirmed = Readonly<Record<QueueName, number[]>>;

export interface Received {
  /** As the body says. */
  readonly life: number;
  readonly number: number;
}

export async function open(url: string): Promise<ChannelModel> {
  const connection = await connect(url, { noDelay: true, timeout: patienceMs });
  connection.on('error', () => {});
  return connection;
}

export async function declare(connection: ChannelModel): Promise<void> {
  const channel = await connection.createConfirmChannel();
  await channel.assertExchange(exchange, 'topic', { durable: true });
  for (const type of queues) {
    const limits = type === 'stream' ? { 'x-max-length-bytes': 256 * 2 ** 20 } : {};
    await channel.assertQueue(type, { durable: true, arguments: { 'x-queue-type': type, ...limits } });
    await channel.bindQueue(type, exchange, type);
  }
  await channel.close();
}

/** Publishes to all three, as fast as they confirm, until the broker is gone: then it tells what was confirmed. */
export async function startPublishing(
  connection: ChannelModel,
  life: number,
  random: () => number,
): Promise<{ readonly outcome: Promise<Confirmed> }> {
  const confirmed: Confirmed = { classic: [], quorum: [], stream: [] };
  const outcome = new Promise<Confirmed>(resolve => connection.once('close', () => resolve(confirmed)));
  const channels: [QueueName, ConfirmChannel][] = [];
  for (const queue of queues) channels.push([queue, await connection.createConfirmChannel()]);
  for (const [queue, channel] of channels) {
    channel.on('error', () => {});
    let number = 0;
    const publish = (): void => {
      const mine = number++;
      const body = bodyOf({ life, number: mine }, sizeFrom(random));
      try {
        channel.publish(exchange, queue, body, { persistent: true }, error => {
          // Also said of what was unconfirmed when the connection went.
          if (error) return;
          confirmed[queue].push(mine);
          publish();
        });
      } catch {
        // The connection has gone.
      }
    };
    for (let count = 0; count < window; count++) publish();
  }
  return { outcome };
}

/**
 * Takes everything out of a queue, or reads a stream on from an offset, up to a mark that it puts there first.
 * @returns what was there in its order, and the stream's next offset
 */
export async function readAll(
  connection: ChannelModel,
  queue: QueueName,
  fromOffset: number,
): Promise<{ received: Received[]; nextOffset: number }> {
  const channel = await connection.createConfirmChannel();
  await mark(channel, queue);
  await channel.prefetch(1_000);
  const received: Received[] = [];
  let nextOffset = fromOffset;
  await new Promise<void>((resolve, reject) => {
    channel.on('error', reject);
    channel.on('close', () => reject(new Error(`the channel that reads ${queue} was closed`)));
    const isStream = queue === 'stream';
    channel
      .consume(
        queue,
        message => {
          if (message === null) return reject(new Error(`the consumer of ${queue} was cancelled`));
          channel.ack(message);
          if (isStream) {
            const offset = Number(message.properties.headers?.['x-stream-offset']);
            if (offset !== nextOffset)
              return reject(new Error(`stream entry ${offset} came where ${nextOffset} is next`));
            nextOffset++;
          }
          if (message.content.length === 0) return resolve();
          received.push(readBody(message.content));
        },
        isStream ? { arguments: { 'x-stream-offset': fromOffset } } : {},
      )
      .catch(reject);
  });
  // Answered after the acknowledgements.
  await channel.checkQueue(queue);
  await channel.close();
  return { received, nextOffset };
}

async function mark(channel: ConfirmChannel, queue: QueueName): Promise<void> {
  channel.publish(exchange, queue, Buffer.alloc(0), { persistent: true });
  await channel.waitForConfirms();
}

/** Mostly small; one of twenty goes over several frames and log writes. */
function sizeFrom(random: () => number): number {
  return Math.floor(random() < 0.05 ? random() * 300_000 : random() * 2_000);
}

function bodyOf({ life, number }: Received, padding: number): Buffer {
  const body = Buffer.alloc(12 + padding, number & 0xff);
  body.writeUInt32BE(life, 0);
  body.writeUInt32BE(number, 4);
  body.writeUInt32BE(padding, 8);
  return body;
}

/** @throws Error when it is not as it was sent */
function readBody(body: Buffer): Received {
  const received = { life: body.readUInt32BE(0), number: body.readUInt32BE(4) };
  if (!body.equals(bodyOf(received, body.readUInt32BE(8))))
    throw new Error(`message ${received.number} of life ${received.life} is damaged`);
  return received;
}

/** @returns what is wrong with what a queue had after a crash, one line each */
export function judge(queue: QueueName, life: number, confirmed: Confirmed, received: readonly Received[]): string[] {
  const problems: string[] = [];
  const there = new Set(received.filter(each => each.life === life).map(each => each.number));
  const missing = confirmed[queue].filter(number => !there.has(number));
  if (missing.length > 0) problems.push(`${queue}: ${missing.length} confirmed are missing, first ${missing[0]}`);
  received.forEach((each, at) => {
    const before = received[at - 1];
    if (before && before.life === each.life && before.number >= each.number)
      problems.push(`${queue}: ${each.number} came after ${before.number}`);
  });
  // What was acknowledged before something that was confirmed is gone for good: the log is one.
  const old = received.filter(each => each.life !== life);
  if (old.length > 0 && queues.some(name => confirmed[name].length > 0))
    problems.push(
      `${queue}: ${old.length} that were acknowledged came back, first ${old[0]?.number} of ${old[0]?.life}`,
    );
  return problems;
}
