import { afterAll, beforeAll, expect, test } from 'vitest';
import { restNamingClient } from '../../services/naming/rest-client.ts';
import { Network } from '../directory/network-of-processes.ts';
import { ownBroker } from '../support/broker.ts';
import { until } from '../support/until.ts';
import { spawnWarren, type WarrenProcess } from '../support/warren-process.ts';
import { Talker } from './talker.ts';

/** Daemons as processes, a directory, naming, a broker: members talk in a room while its server moves, dies and freezes. */

let network: Network;
let naming: WarrenProcess;

beforeAll(async () => {
  network = await Network.start(await ownBroker({ management: true }));
  naming = await spawnWarren([
    'naming',
    '--data',
    network.dir,
    '--broker',
    network.broker.url,
    '--naming-port',
    '0',
    '--dns-port',
    '0',
  ]);
  await naming.line(/^naming is up$/);
}, 120_000);
afterAll(async () => {
  await naming?.[Symbol.asyncDispose]();
  await network?.close();
}, 30_000);

const room = 'lobby';

async function joined(...users: string[]): Promise<Talker[]> {
  return Promise.all(users.map(user => Talker.join(network, user)));
}

async function enter(talker: Talker): Promise<void> {
  await talker.chat.changeRoom({ room, change: { $case: 'join', value: {} } }, { deadlineMs: 30_000 });
}

function say(talker: Talker, text: string): Promise<{ item: number; seq: number }> {
  const request = { room, text, mentions: [], file: undefined, isAwaited: true };
  return talker.chat.sendMessage(request, { deadlineMs: 30_000 });
}

async function texts(talker: Talker): Promise<string[]> {
  const page = { room, before: 0, after: 0, limit: 200, words: '' };
  return (await talker.chat.listMessages(page)).messages.map(({ text }) => text);
}

function sees(talker: Talker, expected: readonly string[]): Promise<string[]> {
  return until(
    () => texts(talker),
    seen => seen.length >= expected.length,
    30_000,
  );
}

test('two talk in a room; the server is killed in the midst of it, and nothing is lost, doubled or out of order', async () => {
  const talkers = await joined('ann', 'bob', 'cleo');
  const [ann, bob, cleo] = talkers;
  if (!ann || !bob || !cleo) throw new Error('unreachable');
  for (const talker of talkers) await talker.start('--migrate-every', '0');
  for (const talker of talkers) await enter(talker);
  const said: string[] = [];
  for (const [talker, text] of [
    [ann, 'hello'],
    [bob, 'hi'],
    [cleo, 'good morning'],
  ] as const) {
    await say(talker, text);
    said.push(text);
  }
  for (const talker of talkers) expect(await sees(talker, said)).toEqual(said);
  const { serving, present } = await ann.chat.getChat({});
  expect(present.length).toBe(3);
  const active = talkers.find(({ id }) => id === serving?.server?.memberId);
  const others = talkers.filter(talker => talker !== active);
  const [one, other] = others;
  if (!active || !one || !other) throw new Error(`nobody serves: ${JSON.stringify(serving)}`);
  // One after the other of each, both at once; the server goes in the midst of it.
  const count = 30;
  const talk = async (talker: Talker, name: string): Promise<void> => {
    for (let at = 0; at < count; at++) {
      if (at === 10 && talker === one) await active.kill();
      await say(talker, `${name} ${at}`);
    }
  };
  await Promise.all([talk(one, 'one'), talk(other, 'other')]);
  const seen = await sees(one, [...said, ...Array(2 * count).keys()].map(String));
  for (const name of ['one', 'other'])
    expect(seen.filter(text => text.startsWith(`${name} `))).toEqual(
      Array.from({ length: count }, (_, at) => `${name} ${at}`),
    );
  expect(seen.length).toBe(said.length + 2 * count);
  expect(await sees(other, seen)).toEqual(seen);
  // Who was away has it all when it is back.
  await active.start('--migrate-every', '0');
  expect(await sees(active, seen)).toEqual(seen);
}, 180_000);

test('the server moves from member to member while two type, and the record follows', async () => {
  const talkers = await joined('dan', 'eve', 'fay');
  const [dan, eve] = talkers;
  if (!dan || !eve) throw new Error('unreachable');
  for (const talker of talkers) await talker.start('--migrate-every', '1s');
  for (const talker of talkers) await enter(talker);
  const first = (await dan.chat.getChat({})).serving?.epoch ?? 0;
  const said = { dan: 0, eve: 0 };
  let isOver = false;
  const type = async (talker: Talker, name: 'dan' | 'eve'): Promise<void> => {
    while (!isOver) await say(talker, `${name} ${said[name]++}`);
  };
  const typing = [type(dan, 'dan'), type(eve, 'eve')];
  await until(
    async () => (await dan.chat.getChat({})).serving?.epoch ?? 0,
    epoch => epoch >= first + 3,
    30_000,
  );
  isOver = true;
  await Promise.all(typing);
  const seen: string[] = [];
  // The first entry of all is no message.
  for (let after = 1; ; ) {
    const { messages, hasMore } = await eve.chat.listMessages({ room, before: 0, after, limit: 200, words: '' });
    seen.push(...messages.map(({ text }) => text));
    after = messages.at(-1)?.seq ?? 0;
    if (!hasMore) break;
  }
  for (const name of ['dan', 'eve'] as const)
    expect(seen.filter(text => text.startsWith(name))).toEqual(
      Array.from({ length: said[name] }, (_, at) => `${name} ${at}`),
    );
  // As `dig` and people see it.
  const client = restNamingClient(/http:\S+/.exec(await naming.line(/^naming serves/))?.[0] ?? '');
  await until(
    async () => [(await client.resolve({ name: 'backend.com' })).record, (await dan.chat.getChat({})).serving] as const,
    ([record, serving]) =>
      record !== undefined &&
      record.memberId !== '' &&
      record.memberId === serving?.server?.memberId &&
      record.epoch === serving.epoch,
  );
}, 120_000);

test('a server that is frozen is replaced, and sees itself void when it goes on', async () => {
  const talkers = await joined('gus', 'hal', 'ivy');
  for (const talker of talkers) await talker.start('--migrate-every', '0');
  for (const talker of talkers) await enter(talker);
  const [gus] = talkers;
  const { serving } = (await gus?.chat.getChat({})) ?? {};
  const active = talkers.find(({ id }) => id === serving?.server?.memberId);
  const [one, other] = talkers.filter(talker => talker !== active);
  if (!active || !one || !other) throw new Error(`nobody of them serves: ${JSON.stringify(serving)}`);
  await say(one, 'before');
  active.process.kill('SIGSTOP');
  const frozenAt = performance.now();
  await say(one, 'first while frozen');
  // By the common heartbeat it would be noticed after 11 s and more.
  expect(performance.now() - frozenAt).toBeLessThan(10_000);
  for (let at = 0; at < 10; at++) await say(at % 2 === 0 ? one : other, `while frozen ${at}`);
  active.process.kill('SIGCONT');
  await say(active, 'back');
  const wanted = [
    'before',
    'first while frozen',
    ...Array.from({ length: 10 }, (_, at) => `while frozen ${at}`),
    'back',
  ];
  for (const talker of talkers)
    expect(
      await until(
        async () => (await texts(talker)).slice(-wanted.length),
        last => last.at(-1) === 'back',
        30_000,
      ),
    ).toEqual(wanted);
  expect((await active.chat.getChat({})).mode).not.toBe('active');
}, 120_000);
