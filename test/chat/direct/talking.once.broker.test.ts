import { afterAll, beforeAll, expect, test } from 'vitest';
import { DirectState } from '../../../proto/gen/warren/chat/v1/direct.ts';
import { shortId } from '../../../services/lib/identity/member-id.ts';
import { Network } from '../../directory/network-of-processes.ts';
import { ownBroker } from '../../support/broker.ts';
import { until } from '../../support/until.ts';
import { Talker } from '../talker.ts';

/** Daemons as processes, a directory, a broker: what their owners write to each other, and what is killed meanwhile. */

let network: Network;

beforeAll(async () => {
  network = await Network.start(await ownBroker({ management: true }));
}, 120_000);
afterAll(() => network?.close(), 30_000);

const { DIRECT_STATE_DELIVERED: delivered, DIRECT_STATE_READ: read, DIRECT_STATE_UNREAD: unread } = DirectState;
const { DIRECT_STATE_WAITING: waiting, DIRECT_STATE_SENT: sent } = DirectState;

let count = 0;
/** Names of accounts that no other test has. */
function names(...of: string[]): string[] {
  count++;
  return of.map(name => `${name}${count}`);
}

async function isIn(talker: Talker, id: string, peer: string, state: DirectState): Promise<void> {
  await until(
    () => talker.state(id, peer),
    found => found === state,
    30_000,
  );
}

test('a message, its answer, its receipts: to all members of the account, with copies to the own ones', async () => {
  const [ann = '', bob = ''] = names('ann', 'bob');
  const [anns, annsOther, bobs, bobsOther] = await Promise.all(
    [ann, ann, bob, bob].map(user => Talker.join(network, user)),
  );
  if (!anns || !annsOther || !bobs || !bobsOther) throw new Error('unreachable');
  await Promise.all([anns, annsOther, bobs, bobsOther].map(each => each.start()));
  const id = await anns.say(bob, 'hello');
  for (const [talker, peer] of [
    [bobs, ann],
    [bobsOther, ann],
    [annsOther, bob],
  ] as const)
    expect(await talker.hears(peer, 'hello')).toEqual(['hello']);
  await isIn(anns, id, bob, delivered);
  expect(await bobs.page(ann)).toMatchObject([{ id, isOwn: false, sender: anns.id, with: ann, state: unread }]);
  expect(await annsOther.page(bob)).toMatchObject([{ id, isOwn: true, sender: anns.id, with: bob }]);
  expect(await bobs.direct.listConversations({})).toMatchObject({ conversations: [{ with: ann, unread: 1 }] });
  await bobsOther.say(ann, 'hi, ann');
  for (const talker of [anns, annsOther]) expect(await talker.hears(bob, 'hi, ann')).toEqual(['hello', 'hi, ann']);
  expect(await bobs.hears(ann, 'hi, ann')).toEqual(['hello', 'hi, ann']);
  // Read on one machine, it is on the other, and the writer knows.
  await bobsOther.direct.markRead({ with: ann });
  await isIn(anns, id, bob, read);
  await isIn(bobs, id, ann, read);
  const ids = bobs.told.flatMap(({ event }) => (event?.$case === 'message' ? [event.value.body] : []));
  expect(new Set(ids)).toEqual(new Set(['hello', 'hi, ann']));
}, 120_000);

test('what is written to somebody who is away waits; nothing is lost, doubled or out of order by kill -9 of either', async () => {
  const [ann = '', bob = ''] = names('ann', 'bob');
  const [anns, bobs] = await Promise.all([Talker.join(network, ann), Talker.join(network, bob)]);
  await Promise.all([anns.start(), bobs.start()]);
  await anns.say(bob, 'first');
  await bobs.hears(ann, 'first');
  await bobs.kill();
  const said = ['first'];
  const say = async (body: string): Promise<string> => {
    said.push(body);
    return anns.say(bob, body);
  };
  for (let at = 0; at < 30; at++) await say(`while away ${at}`);
  // Killed with the answer just given: what was answered is kept.
  await anns.kill();
  await anns.start();
  const id = await say('after the kill');
  await isIn(anns, id, bob, sent);
  for (let round = 0; round < 3; round++) {
    await bobs.start();
    const rest = say(`round ${round}`);
    // In the midst of taking them.
    await until(
      async () => (await bobs.bodies(ann)).length,
      length => length >= 2 + round,
    );
    await bobs.kill();
    await rest;
  }
  await bobs.start();
  expect(await bobs.hears(ann, 'round 2')).toEqual(said);
  await isIn(anns, id, bob, delivered);
}, 180_000);

test('while the directory is away, and when the broker comes back, what was written goes all the same', async () => {
  const [ann = '', bob = '', eve = ''] = names('ann', 'bob', 'eve');
  const [anns, bobs, eves] = await Promise.all([ann, bob, eve].map(user => Talker.join(network, user)));
  if (!anns || !bobs || !eves) throw new Error('unreachable');
  await Promise.all([anns.start(), bobs.start(), eves.start()]);
  await anns.say(bob, 'one');
  await bobs.hears(ann, 'one');
  await network.directory[Symbol.asyncDispose]();
  await anns.say(bob, 'two');
  await bobs.hears(ann, 'two');
  // Not written to before: it is known when the directory is back.
  const id = await anns.say(eve, 'three');
  expect(await anns.state(id, eve)).toBe(waiting);
  await network.startDirectory();
  expect(await eves.hears(ann, 'three')).toEqual(['three']);
}, 120_000);

test('another machine behind the account is told of; a revoked one is refused', async () => {
  const [ann = '', bob = ''] = names('ann', 'bob');
  const [anns, bobs] = await Promise.all([Talker.join(network, ann), Talker.join(network, bob)]);
  await Promise.all([anns.start(), bobs.start()]);
  await anns.say(bob, 'one');
  await bobs.hears(ann, 'one');
  const other = await (await Talker.join(network, bob)).start();
  await other.say(ann, 'it is me, on a new machine');
  await anns.hears(bob, 'it is me, on a new machine');
  const change = await until(
    () => anns.told.find(({ event }) => event?.$case === 'change'),
    found => found !== undefined,
    60_000,
  );
  expect(change?.event?.value).toMatchObject({ account: bob, added: [other.id], removed: [] });
  const { code } = await network.here('members', 'revoke', shortId(other.id));
  expect(code).toBe(0);
  await anns.say(bob, 'two');
  // What the other machine wrote while it was one of them stands here as well.
  expect(await bobs.hears(ann, 'two')).toEqual(['one', 'it is me, on a new machine', 'two']);
}, 120_000);

test('who is nobody, and what is too much, is refused in a line', async () => {
  const [ann = ''] = names('ann');
  const anns = await (await Talker.join(network, ann)).start();
  const refused = (to: string, body: string): Promise<unknown> => anns.say(to, body).catch(error => error);
  expect(await refused('nobody-here', 'x')).toMatchObject({ code: 'DIRECT_NOBODY' });
  expect(await refused(ann, 'x')).toMatchObject({ code: 'DIRECT_SELF' });
  expect(await refused('bob', '')).toMatchObject({ code: 'DIRECT_BODY' });
  expect(await refused('bob', 'ü'.repeat(8_193))).toMatchObject({ code: 'DIRECT_BODY' });
  expect(await refused('two words', 'x')).toMatchObject({ code: 'DIRECT_REQUEST' });
}, 60_000);
