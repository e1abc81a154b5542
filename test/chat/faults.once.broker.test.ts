import { setTimeout as wait } from 'node:timers/promises';
import { expect, inject, test } from 'vitest';
import { whyNoHosts } from '../support/hosts.ts';
import { seededRandom } from '../support/seeded.ts';
import { until } from '../support/until.ts';
import { ChatOnHosts } from './faults/chat-on-hosts.ts';
import { commit, planFaults } from './faults/faults.ts';
import { judge } from './faults/judge.ts';
import { Sender } from './faults/sender.ts';

const why = await whyNoHosts();
if (why !== undefined) console.log(`no network of hosts here: ${why}`);

const seed = Number(process.env.WARREN_SEED ?? Math.floor(Math.random() * 2 ** 32));
const count = Number(process.env.WARREN_RUNS ?? (process.env.WARREN_LONG ? 200 : 20));
const room = 'lobby';
const memberCount = 5;
const senderCount = 20;
/** 50 a second, as far as the machine has time and a client may (100 a second of one member). */
const everyMs = 20;

test.skipIf(why !== undefined)(
  `${senderCount} talk while the server of their chat moves, is killed, frozen and cut off, and broker and naming restart: nothing is lost, doubled or out of order`,
  async () => {
    console.log(`${count} faults from WARREN_SEED=${seed}`);
    const plan = planFaults(count, seededRandom(seed));
    await using network = await ChatOnHosts.start(memberCount, ['--migrate-every', '2s']);
    const { members } = network;
    await network.active();
    for (const member of members)
      await (await member.chat).changeRoom({ room, change: { $case: 'join', value: {} } }, { deadlineMs: 60_000 });
    const startedAt = performance.now();
    const at = (): string => `${((performance.now() - startedAt) / 1000).toFixed(1)} s`;
    const senders = Array.from({ length: senderCount }, (_, of) => {
      const member = members[of % memberCount];
      if (member === undefined) throw new Error('unreachable');
      return new Sender(`s${of}`, member, { room, everyMs });
    });
    for (const [number, fault] of plan.entries()) {
      await wait(fault.afterMs);
      const whom = await commit(network, fault).catch(async error => {
        console.log(await network.lastWords());
        throw new Error(`${number + 1}. ${fault.kind}, WARREN_SEED=${seed}`, { cause: error });
      });
      console.log(`${at()}: ${number + 1}. ${fault.kind}, ${fault.lastsMs} ms ${whom}`);
    }
    await network.active();
    await Promise.all(senders.map(sender => sender.stop()));
    const talkedMs = performance.now() - startedAt;
    await until(
      () => network.look(),
      seen => seen.length === memberCount && seen.every(({ chat }) => chat.onItsWay === 0),
      120_000,
    );
    const said = senders.reduce((sum, { kept }) => sum + kept.size, 0);
    const unsure = senders.reduce((sum, { unsure: some }) => sum + some.size, 0);
    const { epoch } = (await network.look())[0]?.chat.serving ?? {};
    const perSecond = Math.round((said / talkedMs) * 1000);
    console.log(
      `${at()}: ${said} messages at ${perSecond}/s, ${unsure} never answered, ${epoch} epochs (${inject('broker').name}, WARREN_SEED=${seed})`,
    );

    const last = Math.max(...(await Promise.all(members.map(lastSeq))));
    for (const member of members) {
      await until(
        () => lastSeq(member),
        seq => seq >= last,
        60_000,
      );
    }
    const [first = [], ...others] = await Promise.all(members.map(member => member.history(room)));
    const nothing = { lost: [], doubled: [], reordered: [], strange: [] };
    const texts = first.map(({ text }) => text);
    expect(judge(senders, texts), `WARREN_SEED=${seed}`).toEqual(nothing);
    // All see the same, so what is true of one is true of each.
    for (const [of, other] of others.entries())
      expect(firstDifference(first, other), `${members[of + 1]?.name}, WARREN_SEED=${seed}`).toBeUndefined();
    for (const { name, shownAgain, refused } of members)
      expect({ name, shownAgain, refused }).toEqual({ name, shownAgain: [], refused: [] });

    // Nobody holds anything back: with all of them gone nothing comes again.
    await until(
      () => network.input(),
      ({ messages }) => messages === 0,
      30_000,
    );
    await Promise.all(members.map(member => member.kill()));
    await until(
      () => network.input(),
      ({ consumers }) => consumers === 0,
      30_000,
    );
    expect(await network.input()).toEqual({ messages: 0, consumers: 0 });
    console.log(`${at()}: all is as it should be`);
  },
  120_000 + count * 30_000,
);

async function lastSeq(member: ChatOnHosts['members'][number]): Promise<number> {
  const page = { room, before: 0, after: 0, limit: 1, words: '' };
  return (await (await member.chat).listMessages(page)).messages[0]?.seq ?? 0;
}

function firstDifference(one: readonly { seq: number; text: string }[], other: typeof one): unknown {
  for (let at = 0; at < Math.max(one.length, other.length); at++)
    if (one[at]?.seq !== other[at]?.seq || one[at]?.text !== other[at]?.text) return [one[at], other[at]];
  return undefined;
}
