import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { LocalBroker } from '../../../services/up/local-broker.ts';
import { createNetwork, type Network } from '../../member/network.ts';
import { ownBroker } from '../../support/broker.ts';
import { until } from '../../support/until.ts';
import { spawnWarren } from '../../support/warren-process.ts';
import { allSeeAll, spawnNode } from './network-of-nodes.ts';

let broker: LocalBroker;
let network: Network;
beforeAll(async () => {
  broker = await ownBroker();
  network = await createNetwork(broker);
}, 60_000);
afterAll(() => broker?.close(), 30_000);

async function warren(...args: string[]): Promise<{ code: unknown; text: string }> {
  await using command = await spawnWarren(args);
  const code = await command.exit;
  return { code, text: command.lines.join('\n') };
}

describe('nodes that join through an address', () => {
  test('find what others have put, over the command line, the owner’s calls and REST', async () => {
    const first = await spawnNode(network);
    const second = await spawnNode(network, '--join', first.address);
    const third = await spawnNode(network, '--join', second.address);
    // Each sees it for itself, one sooner than the other.
    await allSeeAll([first, second, third], 15_000);
    expect((await first.owner.status({})).parts.map(({ name }) => name)).toEqual(['ring']);
    await first.ring.put({ key: 'greeting', value: Buffer.from('hello'), lifeMs: 0 });
    for (const { ring } of [first, second, third])
      expect((await ring.get({ key: 'greeting' })).value.toString()).toBe('hello');
    // Until a node has been dialled, who waits long for it asks through the broker as well.
    const { hops, owner } = await until(
      () => second.ring.lookup({ key: 'greeting' }),
      found => found.hops.every(({ way, isSilent }) => way === 'direct' && !isSilent),
      30_000,
    );
    expect(hops.length === 0 ? second.home.keys.id : hops.at(-1)?.node?.memberId).toBe(owner?.memberId);

    const rest = await third.rest();
    expect(await (await fetch(`${rest}/keys/greeting`)).text()).toBe('hello');
    await fetch(`${rest}/keys/other`, { method: 'PUT', body: new Uint8Array([0, 1]) });

    const at = ['--data', first.home.dir];
    const shown = await warren('ring', 'show', ...at);
    expect(shown.text).toMatch(/^3 nodes; not yet safe: 3 of 9 members; \d+ records held here$/m);
    for (const { home } of [first, second, third]) expect(shown.text).toContain(home.keys.id.slice(0, 12));
    expect((await warren('ring', 'get', 'other', '--json', ...at)).text).toContain('"AAE="');
    expect(await warren('ring', 'put', 'from the shell', 'some text', ...at)).toMatchObject({ code: 0 });
    expect(await (await fetch(`${rest}/keys/from%20the%20shell`)).text()).toBe('some text');
    expect((await warren('ring', 'lookup', 'greeting', ...at)).text).toMatch(
      /^[0-9a-f]{40} is owned by [0-9a-f]{12} \(/,
    );
    await warren('ring', 'remove', 'from the shell', ...at);
    expect(await warren('ring', 'get', 'from the shell', ...at)).toEqual({
      code: 1,
      text: 'warren: the ring has nothing for this key',
    });

    const { text } = await warren('ring', 'leave', '--data', second.home.dir);
    expect(text).toBe('has left the ring');
    await until(
      () => third.ring.show({}),
      ({ nodes }) => nodes.length === 2,
    );
    expect((await third.ring.get({ key: 'greeting' })).value.toString()).toBe('hello');
    expect((await second.owner.status({})).parts.find(({ name }) => name === 'ring')?.lines[0]).toMatch(/^has left/);
  }, 120_000);
});
