import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { AMQPClient } from '@cloudamqp/amqp-client';
import { Connection } from 'rabbitmq-client';
import { describe, expect, onTestFinished, test } from 'vitest';
import { brokerUrl, uniqueName } from '../support/broker.ts';

/** Clients that nobody here has written: each publishes with confirms, consumes, and gets back what cannot be routed. */

const hasTools = ['amqp-publish', 'amqp-consume', 'amqp-get'].every(
  program => spawnSync(program, ['--help'], { timeout: 5_000 }).error === undefined,
);
if (!hasTools) console.log("skipped: Debian's amqp-tools are not installed here (apt-get install amqp-tools)");

describe.skipIf(!hasTools)("Debian's amqp-tools (librabbitmq)", () => {
  function run(program: string, args: readonly string[], input = ''): { status: number | null; stdout: string } {
    const options = { input, encoding: 'utf8', timeout: 10_000 } as const;
    const { status, stdout, stderr } = spawnSync(program, ['--url', brokerUrl(), ...args], options);
    return { status, stdout: stdout + stderr };
  }

  async function withQueue(use: (queue: string) => void | Promise<void>): Promise<void> {
    const queue = uniqueName('tools');
    const declared = run('amqp-declare-queue', ['--queue', queue, '--durable']);
    expect(declared).toEqual({ status: 0, stdout: `${queue}\n` });
    try {
      await use(queue);
    } finally {
      expect(run('amqp-delete-queue', ['--queue', queue]).status).toBe(0);
    }
  }

  test('publish and get, in order, until there is nothing', () =>
    withQueue(queue => {
      for (const text of ['one', 'two'])
        expect(run('amqp-publish', ['--routing-key', queue, '--persistent', '--body', text]).status).toBe(0);
      // As large as takes several frames.
      const large = 'x'.repeat(400_000);
      expect(run('amqp-publish', ['--routing-key', queue], large).status).toBe(0);
      for (const text of ['one', 'two', large])
        expect(run('amqp-get', ['--queue', queue])).toEqual({ status: 0, stdout: text });
      expect(run('amqp-get', ['--queue', queue]).status).toBe(2);
    }));

  test('consume: a program for each message', () =>
    withQueue(async queue => {
      const count = 5;
      const args = ['--url', brokerUrl(), '--queue', queue, '--count', String(count), '--prefetch-count', '1', 'cat'];
      const consumer = spawn('amqp-consume', args, { stdio: ['ignore', 'pipe', 'pipe'], timeout: 15_000 });
      let output = '';
      consumer.stdout.on('data', chunk => {
        output += chunk;
      });
      for (let each = 0; each < count; each++)
        expect(run('amqp-publish', ['--routing-key', queue, '--body', `<${each}>`]).status).toBe(0);
      const [code] = await once(consumer, 'close');
      expect({ code, output }).toEqual({ code: 0, output: '<0><1><2><3><4>' });
    }));

  test('are told of a queue that is not there', () => {
    const { status, stdout } = run('amqp-get', ['--queue', uniqueName('none')]);
    expect(status).toBe(1);
    expect(stdout).toContain('404');
  });
});

describe('rabbitmq-client', () => {
  function connect(): Connection {
    const connection = new Connection(brokerUrl());
    connection.on('error', () => {});
    onTestFinished(() => connection.close());
    return connection;
  }

  test('publishes with confirms and consumes through bindings', async () => {
    const rabbit = connect();
    const exchange = uniqueName('events');
    const bodies: unknown[] = [];
    const done = Promise.withResolvers<void>();
    const consumer = rabbit.createConsumer(
      {
        queueOptions: { exclusive: true },
        qos: { prefetchCount: 2 },
        exchanges: [{ exchange, type: 'topic', autoDelete: true }],
        queueBindings: [{ exchange, routingKey: 'users.*' }],
      },
      async message => {
        bodies.push(message.body);
        if (bodies.length === 3) done.resolve();
      },
    );
    await once(consumer, 'ready');
    const publisher = rabbit.createPublisher({ confirm: true });
    for (const id of [1, 2, 3]) await publisher.send({ exchange, routingKey: `users.${id}`, durable: true }, { id });
    await done.promise;
    expect(bodies).toEqual([{ id: 1 }, { id: 2 }, { id: 3 }]);
    await publisher.close();
    await consumer.close();
  });

  test('gets back what cannot be routed, and confirms it', async () => {
    const rabbit = connect();
    const publisher = rabbit.createPublisher({ confirm: true });
    const returned = once(publisher, 'basic.return');
    await publisher.send({ routingKey: uniqueName('none'), mandatory: true }, 'lost');
    expect((await returned)[0]).toMatchObject({ body: 'lost', replyCode: 312 });
    await publisher.close();
  });

  test('calls and answers through direct reply-to', async () => {
    const rabbit = connect();
    const queue = uniqueName('rpc');
    const server = rabbit.createConsumer({ queue, queueOptions: { autoDelete: true } }, async (message, reply) => {
      await reply(`${message.body} pong`);
    });
    await once(server, 'ready');
    const client = rabbit.createRPCClient({ confirm: true });
    expect((await client.send(queue, 'ping')).body).toBe('ping pong');
    await client.close();
    await server.close();
  });
});

describe('@cloudamqp/amqp-client', () => {
  async function open() {
    const connection = await new AMQPClient(brokerUrl()).connect();
    onTestFinished(() => connection.close().catch(() => {}));
    return connection.channel();
  }

  test('publishes with confirms and consumes', async () => {
    const channel = await open();
    await channel.confirmSelect();
    const queue = await channel.queueDeclare('', { exclusive: true });
    const sent = ['one', 'two', 'x'.repeat(300_000)];
    for (const body of sent) {
      const tag = await channel.basicPublish('', queue.name, body, {
        deliveryMode: 2,
        headers: { n: 1, deep: { a: [1] } },
      });
      expect(tag).toBe(sent.indexOf(body) + 1);
    }
    await channel.prefetch(1);
    const bodies: (string | null)[] = [];
    const headers: unknown[] = [];
    const consumer = await channel.basicConsume(queue.name, { noAck: false }, message => {
      bodies.push(message.bodyString());
      headers.push(message.properties.headers);
      void message.ack();
      if (bodies.length === sent.length) void consumer.cancel();
    });
    await consumer.wait(10_000);
    expect(bodies).toEqual(sent);
    expect(headers[0]).toEqual({ n: 1, deep: { a: [1] } });
  });

  test('gets back what cannot be routed, and confirms it', async () => {
    const channel = await open();
    await channel.confirmSelect();
    const returned = new Promise<string | null>(resolve => {
      channel.onReturn = message => resolve(message.bodyString());
    });
    await channel.basicPublish('', uniqueName('none'), 'lost', {}, true);
    expect(await returned).toBe('lost');
  });

  test('reads a stream from its first entry', async () => {
    const channel = await open();
    await channel.confirmSelect();
    const name = uniqueName('log');
    await channel.queueDeclare(name, { durable: true }, { 'x-queue-type': 'stream' });
    onTestFinished(async () => {
      await (await open()).queueDelete(name);
    });
    for (const body of ['a', 'b', 'c']) await channel.basicPublish('', name, body, { deliveryMode: 2 });
    await channel.prefetch(10);
    const bodies: (string | null)[] = [];
    const done = Promise.withResolvers<void>();
    await channel.basicConsume(name, { noAck: false, args: { 'x-stream-offset': 'first' } }, message => {
      bodies.push(message.bodyString());
      void message.ack();
      if (bodies.length === 3) done.resolve();
    });
    await done.promise;
    expect(bodies).toEqual(['a', 'b', 'c']);
  });
});
