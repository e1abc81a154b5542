import { setTimeout as wait } from 'node:timers/promises';
import { afterAll, beforeAll, expect, inject, onTestFinished, test } from 'vitest';
import { createBus } from '../../services/bus/amqp-bus.ts';
import type { Bus } from '../../services/bus/bus.ts';
import { roles } from '../../services/bus/topology.ts';
import { ChatStore } from '../../services/chat/chat-store.ts';
import type { Operation } from '../../services/chat/core/entry.ts';
import { serverDefaults } from '../../services/chat/core/server-events.ts';
import { ChatNode } from '../../services/chat/node/chat-node.ts';
import { createMemberKeys } from '../../services/lib/identity/keys.ts';
import { namingClient } from '../../services/naming/client.ts';
import { keepRegistered } from '../../services/naming/registration.ts';
import { type RunningNaming, startNaming } from '../../services/naming/service.ts';
import { busOf, type Network, rawConnection, startNetwork } from '../security/network.ts';
import { temporaryDir } from '../support/broker.ts';
import { until } from '../support/until.ts';
import { judge, messageText } from './faults/judge.ts';

/** Nodes of a chat in this process, each with its member's own account of the broker, and naming: their server moves all the time. */

const room = 'lobby';
const chats = { closed: 'closed.net', cancelled: 'cancelled.net' };
/** How often it moves while they talk. */
const moves = 6;
let network: Network;
let naming: RunningNaming;
let namingBus: Bus;

beforeAll(async () => {
  network = await startNetwork([], Object.values(chats));
  namingBus = createBus({ urls: [network.broker.url], name: 'naming', role: roles.naming('classic') });
  await namingBus.ready();
  naming = await startNaming(
    { bus: namingBus, now: Date.now, clock: () => performance.now(), random: Math.random, warn: () => {} },
    {
      ...{ dataDir: await temporaryDir(), host: '127.0.0.1', port: 0, dnsHost: '127.0.0.1', dnsPort: 0 },
      ...{ zones: [], dnsRate: 0, leaseMs: 3_000, queueType: 'classic' },
    },
  );
}, 120_000);
afterAll(async () => {
  await naming?.close();
  await namingBus?.close(0);
  await network?.close();
}, 30_000);

interface Talker {
  readonly name: string;
  readonly node: ChatNode;
  readonly texts: string[];
  /** As a process that is killed. */
  cut(): Promise<void>;
}

async function talker(chat: string, name: string, isFounder: boolean, asItsServer: (bus: Bus) => Bus): Promise<Talker> {
  const keys = createMemberKeys();
  const person = await network.addMember([], [chat], keys.id);
  const buses = [busOf(person, roles.member())];
  const [bus] = buses as [Bus];
  await bus.ready();
  const texts: string[] = [];
  const store = new ChatStore(await temporaryDir());
  const openBus = (): Bus => {
    const opened = busOf(person, roles.member());
    buses.push(opened);
    return asItsServer(opened);
  };
  const node = new ChatNode(
    {
      host: {
        ...{ id: keys.id, keys, bus, openBus, queueType: 'classic', addresses: () => [], isRevoked: () => false },
        ...{ now: Date.now, clock: () => performance.now(), random: Math.random, log: () => {}, warn: () => {} },
      },
      store,
      naming: { client: namingClient(bus), keepRegistered },
      onRead: read => {
        if (read.kind === 'entry' && read.meaning.kind === 'input' && read.meaning.input.operation.kind === 'message')
          texts.push(read.meaning.input.operation.text);
      },
      onKeep: () => true,
      onOutcome: () => {},
    },
    { chat, server: { ...serverDefaults, isFounder, migrateEveryMs: 100 } },
  );
  onTestFinished(async () => {
    await node.close();
    store.close();
  });
  return { name, node, texts, cut: async () => void (await Promise.all(buses.map(each => each.close(0)))) };
}

/** Three talk while their server moves; then all are cut off. @returns how many are in the input then, and how often it has moved */
async function left(chat: string, asItsServer: (bus: Bus) => Bus): Promise<{ messages: number; epochs: number }> {
  const talkers: Talker[] = [];
  for (const name of ['a', 'b', 'c']) talkers.push(await talker(chat, name, name === 'a', asItsServer));
  for (const { node } of talkers) node.say({ kind: 'join', room });
  const epochs = (): number => Math.max(...talkers.map(({ node }) => node.log.state.epoch));
  // Naming knows of the others by then.
  await until(epochs, epoch => epoch >= 2, 30_000);
  let count = 0;
  const enough = epochs() + moves;
  for (const deadline = performance.now() + 60_000; epochs() < enough && performance.now() < deadline; ) {
    for (let of = 0; of < 4; of++, count++) for (const { node, name } of talkers) node.say(says(name, count));
    await wait(40);
  }
  await until(
    () => talkers.map(({ node }) => node.onItsWay),
    waiting => waiting.every(each => each === 0),
    90_000,
  );
  const said = talkers.map(({ name }) => ({ sender: name, kept: new Set(Array(count).keys()), unsure: new Set([]) }));
  for (const { texts } of talkers) {
    await until(
      () => texts.length,
      seen => seen >= count * talkers.length,
    );
    expect(judge(said, texts)).toEqual({ lost: [], doubled: [], reordered: [], strange: [] });
  }
  // Acks may be on their way, and the broker counts every few seconds.
  await until(
    () => unacked(chat),
    some => some === 0,
    10_000,
  ).catch(() => {});
  await Promise.all(talkers.map(each => each.cut()));
  const channel = await (await rawConnection(network.broker.url)).createChannel();
  const { messageCount: messages } = await until(
    () => channel.checkQueue(`chat.${chat}.in`),
    ({ consumerCount }) => consumerCount === 0,
  );
  console.log(`${count * talkers.length} messages, ${epochs()} epochs: ${messages} left (${inject('broker').name})`);
  return { messages, epochs: epochs() };
}

/** And what waits. */
async function unacked(chat: string): Promise<number> {
  const { origin, username, password } = new URL(network.broker.httpUrl ?? '');
  const authorization = `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
  const answer = await fetch(`${origin}/api/queues/%2F/chat.${chat}.in`, { headers: { authorization } });
  return ((await answer.json()) as { messages: number }).messages;
}

function says(name: string, number: number): Operation {
  return { kind: 'message', room, text: messageText(name, number), mentions: [] };
}

test('what a server had not acked when it handed over is with the next one: with all of them gone, nothing is left', async () => {
  const { messages, epochs } = await left(chats.closed, bus => bus);
  expect(messages).toBe(0);
  expect(epochs).toBeGreaterThan(3);
}, 180_000);

test('`basic.cancel` instead of closing the channel is found: what was held stays held, and comes again at the end', async () => {
  const { messages } = await left(chats.cancelled, cancelling);
  expect(messages).toBeGreaterThan(0);
}, 180_000);

/** Its consumers of a chat's input are cancelled, and their channels left as they are. */
function cancelling(bus: Bus): Bus {
  return new Proxy(bus, {
    get(target, name) {
      if (name === 'consume')
        return async (...[queue, handler, options]: Parameters<Bus['consume']>) => {
          if (!queue.name.endsWith('.in')) return await target.consume(queue, handler, options);
          const consumer = await target.consume(queue, handler, { ...options, ending: 'cancel' });
          // It would wait for the acks of what it holds.
          return { close: async () => void consumer.close() };
        };
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}
