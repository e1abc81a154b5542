import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import type { MemberHost } from '../../services/bus/hosted.ts';
import { roles } from '../../services/bus/topology.ts';
import { ChatStore } from '../../services/chat/chat-store.ts';
import type { Operation } from '../../services/chat/core/entry.ts';
import { serverDefaults } from '../../services/chat/core/server-events.ts';
import { ChatNode } from '../../services/chat/node/chat-node.ts';
import { createMemberKeys, type MemberKeys } from '../../services/lib/identity/keys.ts';
import { namingClient } from '../../services/naming/client.ts';
import { keepRegistered } from '../../services/naming/registration.ts';
import { busOf, type Network, type Person, startNetwork } from '../security/network.ts';
import { temporaryDir } from '../support/broker.ts';
import { until } from '../support/until.ts';

/** Nodes of a chat in this process, each with its member's own account of the broker. There is no naming. */

const chat = 'room.net';
let network: Network;

beforeAll(async () => {
  network = await startNetwork([], [chat]);
}, 120_000);
afterAll(() => network?.close(), 30_000);

interface Talker {
  readonly node: ChatNode;
  readonly texts: string[];
  readonly lines: string[];
  readonly lost: string[];
}

async function talker(hosts: readonly string[], isFounder: boolean): Promise<Talker> {
  const keys: MemberKeys = createMemberKeys();
  const person: Person = await network.addMember([], hosts, keys.id);
  const lost: string[] = [];
  const bus = busOf(person, roles.member(), line => lost.push(line));
  await bus.ready();
  const [texts, lines]: [string[], string[]] = [[], []];
  const store = new ChatStore(await temporaryDir());
  const host: Pick<MemberHost, 'id' | 'keys' | 'bus' | 'openBus' | 'queueType' | 'addresses'> = {
    ...{ id: keys.id, keys, bus, queueType: 'classic', addresses: () => [] },
    openBus: () => busOf(person, roles.member()),
  };
  const node = new ChatNode(
    {
      host: {
        ...host,
        ...{ now: Date.now, clock: () => performance.now(), random: Math.random },
        ...{ log: line => lines.push(line), warn: line => lost.push(line) },
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
    { chat, server: { ...serverDefaults, isFounder } },
  );
  onTestFinished(async () => {
    await node.close();
    store.close();
  });
  return { node, texts, lines, lost };
}

const room = 'lobby';
const says = (text: string): Operation => ({ kind: 'message', room, text, mentions: [] });

test('who may not serve a chat talks in it all the same, and keeps its connections', async () => {
  const guest = await talker([], true);
  await until(
    () => guest.lines,
    lines => lines.includes(`chat ${chat}: this member may not serve it (directory.chat_hosts)`),
  );
  const host = await talker([chat], true);
  guest.node.say({ kind: 'join', room });
  guest.node.say(says('hello'));
  host.node.say({ kind: 'join', room });
  host.node.say(says('hi'));
  for (const { texts } of [guest, host])
    await until(
      () => [...texts].sort(),
      seen => seen.join() === 'hello,hi',
    );
  await until(
    () => guest.node.onItsWay,
    count => count === 0,
  );
  expect(host.node.mode).toBe('active');
  expect(guest.node.log.state.owner).toBe(host.node.log.state.owner);
  expect(guest.lost).toEqual([]);
  expect(host.lost).toEqual([]);
});
