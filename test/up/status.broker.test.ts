import { connect } from 'amqplib';
import { expect, onTestFinished, test } from 'vitest';
import { ownBroker, temporaryDir } from '../support/broker.ts';
import { until } from '../support/until.ts';
import { spawnWarren } from '../support/warren-process.ts';

interface Seen {
  readonly broker: { product: string; version: string; connections: number; queues: Record<string, unknown>[] };
}

async function status(...flags: string[]): Promise<string> {
  await using process = await spawnWarren(['status', ...flags]);
  expect(await process.exit).toBe(0);
  return process.lines.join('\n');
}

test("`warren status` reads depth and rates from the broker's HTTP API, RabbitMQ's management plugin or our own", async () => {
  const broker = await ownBroker({ management: true });
  const { httpUrl = '' } = broker;
  const model = await connect(broker.url, { noDelay: true });
  onTestFinished(() => model.close().catch(() => {}));
  const channel = await model.createConfirmChannel();
  await channel.assertQueue('waiting', { durable: true, arguments: { 'x-queue-type': 'quorum' } });
  await channel.prefetch(2);
  for (let i = 0; i < 5; i++) channel.sendToQueue('waiting', Buffer.from('one'));
  await channel.waitForConfirms();
  await channel.consume('waiting', () => {});
  await channel.assertQueue('moving', { durable: true });
  await channel.consume('moving', () => {}, { noAck: true });

  const flags = ['--data', await temporaryDir(), '--broker-http', httpUrl, '--admin-port', '1'];
  const named = ({ broker: { queues } }: Seen, name: string) => queues.find(queue => queue.name === name);
  // RabbitMQ gathers its figures every five seconds; a rate is of what flows meanwhile.
  const { broker: seen } = await until(
    async () => {
      for (let i = 0; i < 5; i++) channel.sendToQueue('moving', Buffer.from('one'));
      return JSON.parse(await status('--json', ...flags)) as Seen;
    },
    found =>
      named(found, 'waiting')?.unacked === 2 &&
      Number(named(found, 'moving')?.inRate) > 0 &&
      Number(named(found, 'moving')?.outRate) > 0,
    30_000,
  );
  const isOurs = broker.kind === 'embedded';
  expect(seen).toMatchObject({ product: isOurs ? 'Warren' : 'RabbitMQ', version: broker.version, connections: 1 });
  expect(seen.queues).toHaveLength(2);
  expect(seen.queues).toContainEqual(
    expect.objectContaining({ name: 'waiting', type: 'quorum', ready: 3, unacked: 2, consumers: 1 }),
  );
  const told = await status(...flags);
  expect(told).toMatch(new RegExp(`^broker {5}${seen.product} \\S+, ${new URL(httpUrl).origin}, 1 connection$`, 'm'));
  expect(told).toMatch(/^waiting +quorum +3 +2 +1 +\d+\.\d +\d+\.\d$/m);

  const { origin } = new URL(httpUrl);
  const stranger = httpUrl.replace(/:[^:@]+@/, ':wrong@');
  expect(await status(...flags.with(3, stranger))).toContain(
    `the broker's HTTP API at ${origin} cannot be reached: it refuses this account`,
  );

  await model.close();
  await broker.freeze();
  const at = performance.now();
  expect(await status(...flags, '--broker', broker.url)).toMatch(
    new RegExp(
      `^the broker's HTTP API at ${origin} cannot be reached: .*\\n\\n.*admin server .* cannot be reached`,
      'm',
    ),
  );
  expect(performance.now() - at).toBeLessThan(10_000);
  await broker.thaw();
}, 90_000);
