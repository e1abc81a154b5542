import { connect } from 'amqplib';
import { expect, onTestFinished, test } from 'vitest';
import { createBus } from '../../services/bus/amqp-bus.ts';
import type { Bus, Delivery, Verdict } from '../../services/bus/bus.ts';
import { chatIn, chatLog } from '../../services/bus/queues.ts';
import { type StreamEntry, tailStream } from '../../services/bus/stream-tail.ts';
import { type BoundQueue, exchanges, type QueueKind, type Role } from '../../services/bus/topology.ts';
import { brokerUrl, uniqueName } from '../support/broker.ts';
import { type Relay, startRelay } from '../support/tcp-relay.ts';
import { until } from '../support/until.ts';

/** What the edges of a chat need of the bus: its log read without gap or repeat, its input handed over in order. */

function busOf(role: Role, url = brokerUrl()): Bus {
  const made = createBus({ urls: [url], name: 'test', role });
  onTestFinished(() => made.close(200));
  return made;
}

/** A chat of this test alone. */
function chatOfTest(kind: QueueKind): { name: string; input: BoundQueue; log: BoundQueue; role: Role } {
  const name = `${uniqueName('chat')}.net`;
  const [input, log] = [chatIn(name, kind), chatLog(name)];
  onTestFinished(async () => {
    const connection = await connect(brokerUrl());
    const channel = await connection.createChannel();
    for (const { queue } of [input, log]) await channel.deleteQueue(queue.name);
    await connection.close();
  });
  return { name, input, log, role: { exchanges: [exchanges.chat], queues: [input, log] } };
}

async function relayed(): Promise<{ relay: Relay; url: string }> {
  const relay = await startRelay(Number(new URL(brokerUrl()).port));
  onTestFinished(() => relay.close());
  const url = new URL(brokerUrl());
  url.hostname = '127.0.0.1';
  url.port = String(relay.port);
  return { relay, url: url.href };
}

const texts = (from: number, to: number): string[] => Array.from({ length: to - from }, (_, at) => String(from + at));

test('a stream is read from any place, each entry once and in order, also by whom the connection is cut', async () => {
  const { name, log, role } = chatOfTest('classic');
  const writer = busOf(role);
  const append = (text: string): Promise<void> =>
    writer.publish({ type: 'warren.chat.v1.Entry', key: `log.${name}`, body: Buffer.from(text) });
  for (const text of texts(0, 20)) await append(text);
  const { relay, url } = await relayed();
  const reader = busOf(role, url);
  const [all, later]: [StreamEntry[], StreamEntry[]] = [[], []];
  tailStream(reader, log, entry => all.push(entry), { from: 'first', atOnce: 7 });
  tailStream(reader, log, entry => later.push(entry), { from: 13n, atOnce: 7 });
  for (const text of texts(20, 120)) {
    await append(text);
    if (Number(text) % 30 === 0) relay.cut();
  }
  for (const [seen, from] of [
    [all, 0],
    [later, 13],
  ] as const) {
    await until(
      () => seen.length,
      count => count >= 120 - from,
    );
    expect(seen.map(({ body }) => body.toString())).toEqual(texts(from, 120));
    expect(seen.map(({ offset }) => Number(offset))).toEqual(texts(from, 120).map(Number));
    // Also over a connection that was cut it is known that nothing was between.
    expect(seen.map(({ after }) => after)).toEqual(seen.map(({ offset }) => (offset === 0n ? undefined : offset - 1n)));
  }
});

test('who appends sees its own entry, by its id, with its account', async () => {
  const { name, log, role } = chatOfTest('classic');
  const bus = busOf(role);
  const seen: StreamEntry[] = [];
  tailStream(bus, log, entry => seen.push(entry), { from: 'first' });
  const messageId = uniqueName('entry');
  await bus.publish({ type: 'warren.chat.v1.Entry', key: `log.${name}`, body: Buffer.from('x'), messageId });
  await until(
    () => seen.length,
    count => count > 0,
  );
  expect(seen).toMatchObject([{ messageId, userId: bus.user, offset: 0n }]);
});

test('what is appended past the exchange has its place, and is marked', async () => {
  const { name, log, role } = chatOfTest('classic');
  const bus = busOf(role);
  await bus.ready();
  const connection = await connect(brokerUrl());
  const channel = await connection.createConfirmChannel();
  channel.sendToQueue(log.queue.name, Buffer.from('forged'), { type: 'warren.chat.v1.Entry' });
  await channel.waitForConfirms();
  await connection.close();
  await bus.publish({ type: 'warren.chat.v1.Entry', key: `log.${name}`, body: Buffer.from('x') });
  // Reads with a role that does not know the chat, as members do.
  const seen: StreamEntry[] = [];
  tailStream(busOf({ exchanges: [exchanges.chat], queues: [] }), log, entry => seen.push(entry), { from: 'first' });
  await until(
    () => seen.length,
    count => count === 2,
  );
  expect(seen.map(({ offset, isStray }) => [offset, isStray])).toEqual([
    [0n, true],
    [1n, undefined],
  ]);
});

test.for(['classic', 'quorum'] as const)(
  'who closes the channel of a %s input leaves all that it held to its successor, in order',
  async kind => {
    const { name, input, role } = chatOfTest(kind);
    const [first, second] = [busOf(role), busOf(role)];
    const held: string[] = [];
    const options = { prefetch: 10, ending: 'channel' } as const;
    const never = new Promise<Verdict>(() => {});
    const serving = await first.consume(
      input.queue,
      ({ body }) => {
        held.push(body.toString());
        return body.toString() === '0' ? 'ack' : never;
      },
      options,
    );
    const taken: Delivery[] = [];
    await second.consume(
      input.queue,
      delivery => {
        taken.push(delivery);
        return 'ack';
      },
      options,
    );
    const say = (text: string): Promise<void> =>
      second.publish({ type: 'warren.chat.v1.Input', key: `in.${name}`, body: Buffer.from(text) });
    for (const text of texts(0, 20)) await say(text);
    await until(
      () => held.length,
      count => count === 11,
    );
    await serving.close();
    await say('20');
    await until(
      () => taken.length,
      count => count >= 20,
    );
    expect(taken.map(({ body }) => body.toString())).toEqual(texts(1, 21));
    expect(held).toEqual(texts(0, 11));
  },
);

test('one that is closed while it begins again does not stay the active one', async () => {
  const { name, input, role } = chatOfTest('classic');
  const successor = busOf(role);
  await successor.ready();
  const { relay, url } = await relayed();
  const options = { prefetch: 10, ending: 'channel' } as const;
  const held: string[] = [];
  let isCut = false;
  const closed = Promise.withResolvers<void>();
  const consumer = await busOf({ exchanges: [exchanges.chat], queues: [] }, url).consume(
    input.queue,
    ({ body }) => {
      held.push(body.toString());
      return 'requeue';
    },
    {
      ...options,
      // Asked between the opening of the channel and the consuming.
      bindings: () => {
        if (isCut) consumer.close().then(closed.resolve);
        return input.bindings;
      },
    },
  );
  isCut = true;
  relay.cut();
  await closed.promise;
  const taken: string[] = [];
  await successor.consume(
    input.queue,
    ({ body }) => {
      taken.push(body.toString());
      return 'ack';
    },
    options,
  );
  await successor.publish({ type: 'warren.chat.v1.Input', key: `in.${name}`, body: Buffer.from('x') });
  await until(
    () => taken,
    bodies => bodies.includes('x'),
  );
  expect(held).toEqual([]);
});

test('a message that must reach a queue is refused where there is none', async () => {
  const bus = busOf({ exchanges: [exchanges.m], queues: [] });
  const message = { type: 'warren.chat.v1.Direct', body: Buffer.from('x'), mustRoute: true } as const;
  const key = `m.${uniqueName('nobody')}.dm`;
  await expect(bus.publish({ ...message, key })).rejects.toMatchObject({ code: 'BUS_NO_RECEIVER' });
  const seen: string[] = [];
  await bus.consume(
    { name: '', exclusive: true, why: 'of this test' },
    ({ body }) => {
      seen.push(body.toString());
      return 'ack';
    },
    { prefetch: 1, bindings: () => [{ exchange: 'm', key }] },
  );
  await bus.publish({ ...message, key });
  await until(
    () => seen,
    bodies => bodies.includes('x'),
  );
});

test('one that is for one channel ends with it, once, and is not begun again', async () => {
  const { name, input, role } = chatOfTest('classic');
  const { relay, url } = await relayed();
  const bus = busOf(role, url);
  await bus.ready();
  let ends = 0;
  const held: string[] = [];
  const options = { prefetch: 10, ending: 'channel', onEnd: () => ends++ } as const;
  const consume = (): ReturnType<Bus['consume']> =>
    bus.consume(
      input.queue,
      ({ body }) => {
        held.push(body.toString());
        return new Promise<Verdict>(() => {});
      },
      options,
    );
  await consume();
  const lost = new Promise<void>(resolve => {
    bus.onState(state => {
      if (state === 'connecting') resolve();
    });
  });
  relay.cut();
  await lost;
  await expect(consume()).rejects.toMatchObject({ code: 'BUS_LOST' });
  await bus.ready();
  await bus.publish({ type: 'warren.chat.v1.Input', key: `in.${name}`, body: Buffer.from('x') });
  expect((await bus.depth(input.queue.name)).consumers).toBe(0);
  expect(ends).toBe(1);
  expect(held).toEqual([]);
  const again = await consume();
  await until(
    () => held,
    bodies => bodies.includes('x'),
  );
  await again.close();
  expect(ends).toBe(1);
});

test('a stream that is not there keeps nobody from being up, and is read when it comes', async () => {
  const { name, log, role } = chatOfTest('classic');
  const lines: string[] = [];
  const reader = createBus(
    { urls: [brokerUrl()], name: 'test', role: { exchanges: [exchanges.chat], queues: [] } },
    line => lines.push(line),
  );
  onTestFinished(() => reader.close(200));
  const seen: string[] = [];
  // While it connects.
  tailStream(reader, log, ({ body }) => seen.push(body.toString()), { from: 'first' });
  await reader.ready();
  const writer = busOf(role);
  await writer.publish({ type: 'warren.chat.v1.Entry', key: `log.${name}`, body: Buffer.from('x') });
  await until(
    () => seen,
    bodies => bodies.includes('x'),
  );
  expect(lines.filter(line => line.includes(log.queue.name)).length).toBeLessThanOrEqual(1);
});
