import { type Channel, type ChannelModel, type ConfirmChannel, connect } from 'amqplib';
import type { Rate } from './rate.ts';

/**
 * A client process of the broker benchmark: reads one command a line (JSON), answers one result a line. The same client, amqplib, for every
 * broker.
 */
export interface LoadCommand {
  readonly url: string;
  /**
   * `rpc`: request and reply between two connections over exclusive queues. `transient`: published and consumed without confirm. `persistent`:
   * published with a confirm each, into a queue of `queueType`, and consumed with an ack each.
   */
  readonly kind: 'rpc' | 'transient' | 'persistent';
  readonly queueType: 'classic' | 'quorum';
  readonly inFlight: number;
  readonly bytes: number;
  readonly ms: number;
}

async function open(url: string): Promise<ChannelModel> {
  return connect(url, { noDelay: true });
}

/** Keeps `inFlight` going until the time is over; each calls back when it is done. */
function drive(inFlight: number, ms: number, one: (done: () => void) => void): Promise<Rate> {
  return new Promise(resolve => {
    const times: number[] = [];
    const startedAt = performance.now();
    let running = inFlight;
    const next = (): void => {
      const at = performance.now();
      one(() => {
        times.push(performance.now() - at);
        if (performance.now() - startedAt < ms) next();
        else if (--running === 0) finish();
      });
    };
    const finish = (): void => {
      const seconds = (performance.now() - startedAt) / 1000;
      times.sort((a, b) => a - b);
      const at = (share: number): number => times[Math.min(times.length - 1, Math.floor(times.length * share))] ?? 0;
      resolve({ perSecond: times.length / seconds, p50Ms: at(0.5), p99Ms: at(0.99) });
    };
    for (let i = 0; i < inFlight; i++) next();
  });
}

async function rpc({ url, inFlight, bytes, ms }: LoadCommand): Promise<Rate> {
  const server = await open(url);
  const client = await open(url);
  const serving = await server.createChannel();
  const calling = await client.createChannel();
  const { queue } = await serving.assertQueue('', { exclusive: true });
  const replies = await calling.assertQueue('', { exclusive: true });
  await serving.consume(
    queue,
    message => {
      if (!message) return;
      serving.sendToQueue(String(message.properties.replyTo), message.content, {
        correlationId: String(message.properties.correlationId),
      });
    },
    { noAck: true },
  );
  const waiting = new Map<string, () => void>();
  await calling.consume(
    replies.queue,
    message => {
      const id = String(message?.properties.correlationId);
      const done = waiting.get(id);
      waiting.delete(id);
      done?.();
    },
    { noAck: true },
  );
  const body = Buffer.alloc(bytes, 'x');
  let count = 0;
  const result = await drive(inFlight, ms, done => {
    const correlationId = String(count++);
    waiting.set(correlationId, done);
    calling.sendToQueue(queue, body, { correlationId, replyTo: replies.queue });
  });
  await Promise.all([server.close(), client.close()]);
  return result;
}

async function oneWay({ url, kind, queueType, inFlight, bytes, ms }: LoadCommand): Promise<Rate> {
  const publisher = await open(url);
  const consumer = await open(url);
  const isPersistent = kind === 'persistent';
  const publishing: Channel = isPersistent ? await publisher.createConfirmChannel() : await publisher.createChannel();
  const consuming = await consumer.createChannel();
  const queue = `bench.${kind}.${queueType}.${process.pid}.${Math.random()}`;
  await consuming.assertQueue(queue, {
    durable: isPersistent,
    exclusive: !isPersistent,
    arguments: { 'x-queue-type': queueType },
  });
  await consuming.prefetch(1000);
  const arrived: (() => void)[] = [];
  await consuming.consume(queue, message => {
    if (!message) return;
    consuming.ack(message);
    if (!isPersistent) arrived.shift()?.();
  });
  const body = Buffer.alloc(bytes, 'x');
  // Done when it is confirmed (persistent), or has arrived (transient); in order on one queue.
  const result = await drive(inFlight, ms, done => {
    if (isPersistent) (publishing as ConfirmChannel).sendToQueue(queue, body, { persistent: true }, () => done());
    else {
      arrived.push(done);
      publishing.sendToQueue(queue, body);
    }
  });
  if (isPersistent) await consuming.deleteQueue(queue);
  await Promise.all([publisher.close(), consumer.close()]);
  return result;
}

let rest = '';
process.stdin.setEncoding('utf8').on('data', async text => {
  rest += text;
  const lines = rest.split('\n');
  rest = lines.pop() ?? '';
  for (const line of lines) {
    const command = JSON.parse(line) as LoadCommand;
    const result = await (command.kind === 'rpc' ? rpc(command) : oneWay(command));
    process.stdout.write(`${JSON.stringify(result)}\n`);
  }
});
process.stdin.on('end', () => process.exit(0));
