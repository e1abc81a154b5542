import { connect } from 'amqplib';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { askBroker } from '../../services/up/amqp-hello.ts';
import type { LocalBroker } from '../../services/up/local-broker.ts';
import { ownBroker, uniqueName } from '../support/broker.ts';

/** What all kinds of local broker promise; each project runs it on its own kind, on one broker. */
describe('a local broker', () => {
  let broker: LocalBroker;
  const queue = uniqueName('kept');
  beforeAll(async () => {
    broker = await ownBroker();
    const connection = await connect(broker.url);
    await (await connection.createChannel()).assertQueue(queue, { durable: true });
    await connection.close();
  });
  afterAll(() => broker.close());

  async function withPassword(user: string, password: string): Promise<unknown> {
    const url = new URL(broker.url);
    Object.assign(url, { username: user, password });
    return askBroker(url.href);
  }

  /**
   * Leaves a confirmed persistent message in a durable queue; what returns takes it out again. The queue is an old one:
   * RabbitMQ writes definitions later than it confirms, so one declared moments before a kill goes with its messages.
   */
  async function leaveMessage(): Promise<() => Promise<string | undefined>> {
    const body = uniqueName('kept');
    const connection = await connect(broker.url);
    const channel = await connection.createConfirmChannel();
    channel.publish('', queue, Buffer.from(body), { persistent: true });
    await channel.waitForConfirms();
    await connection.close();
    return async () => {
      const later = await connect(broker.url);
      const message = await (await later.createChannel()).get(queue, { noAck: true });
      await later.close();
      const text = message === false ? undefined : message.content.toString();
      return text === body ? 'the message' : text;
    };
  }

  test.skipIf(inject('broker').kind === 'configured')('says its version, which is the one of the project', () => {
    expect(broker.version).toBe(inject('broker').version);
    expect(broker.describe).toContain(broker.version);
    expect(broker.describe).not.toContain(new URL(broker.url).password);
  });

  test('takes its account and refuses a wrong password, and guest', async () => {
    const { username, password } = new URL(broker.url);
    await expect(withPassword(username, password)).resolves.toMatchObject({
      product: broker.kind === 'embedded' ? 'Warren' : 'RabbitMQ',
    });
    await expect(withPassword(username, `${password}x`)).rejects.toMatchObject({ code: 'BROKER_REFUSED' });
    await expect(withPassword('guest', 'guest')).rejects.toMatchObject({ code: 'BROKER_REFUSED' });
  });

  test('frozen it does not answer, thawed it does', async () => {
    await broker.freeze();
    await expect(askBroker(broker.url, 300)).rejects.toMatchObject({ code: 'BROKER_UNREACHABLE' });
    await broker.thaw();
    await askBroker(broker.url);
  });

  test('stopped and started again it has the same port and what was persistent', async () => {
    const take = await leaveMessage();
    await broker.stop();
    await expect(askBroker(broker.url)).rejects.toMatchObject({ code: 'BROKER_UNREACHABLE' });
    await broker.start();
    expect(await take()).toBe('the message');
  });

  test('killed while frozen and started again it has what was confirmed', async () => {
    const take = await leaveMessage();
    await broker.freeze();
    await broker.kill();
    await broker.start();
    expect(await take()).toBe('the message');
  });
});
