import { expect, test } from 'vitest';
import type { Ask } from '../../services/chord/ask.ts';
import { hopsOf, lookup, timeoutsOf } from '../../services/chord/lookup.ts';
import type { Peer } from '../../services/chord/peer.ts';
import type { Neighbours, Route } from '../../services/chord/ports.ts';
import { id, peer } from './simulation/small-ring.ts';

const advice = (closer: readonly Peer[], owners: readonly Peer[] = []): Route => ({
  closer,
  owners,
  predecessor: closer[0],
});
const between = (predecessor: Peer | undefined): Neighbours => ({ predecessor, successors: [] });

/** Nodes by place; what is not there is silent. */
function look(
  nodes: Readonly<Record<number, { route?: Route; neighbours?: Neighbours }>>,
  route: Route,
  { hopLimit = 20, key = 100 } = {},
) {
  const silent: number[] = [];
  const asked: number[] = [];
  const ask = (async (to: Peer, call: 'route' | 'neighbours') => {
    asked.push(Number(to.id));
    return nodes[Number(to.id)]?.[call];
  }) as Ask;
  let time = 0;
  const context = {
    self: peer(1),
    ask,
    now: () => time++,
    hopLimit,
    onSilent: (each: Peer) => silent.push(Number(each.id)),
  };
  return { found: lookup(context, id(key), { route }), silent, asked };
}

test('goes by whoever is nearest before the key, and ends at the owner', async () => {
  const { found, asked } = look(
    {
      50: { route: advice([peer(60), peer(90)]) },
      90: { route: advice([peer(80)], [peer(110), peer(120)]) },
      110: { neighbours: between(peer(90)) },
    },
    advice([peer(20), peer(50)]),
  );
  const { owner, path } = await found;
  expect(owner).toEqual(peer(110));
  expect(asked).toEqual([50, 90, 110]);
  expect(path.map(({ peer: { id }, ms, isSilent }) => [Number(id), ms, isSilent])).toEqual([
    [50, 1, false],
    [90, 1, false],
    [110, 1, false],
  ]);
});

test('goes around silent nodes, by what others said before', async () => {
  const { found, silent, asked } = look(
    {
      50: { route: advice([peer(90), peer(80)]) },
      80: { route: advice([], [peer(110)]) },
      110: { neighbours: between(peer(80)) },
    },
    advice([peer(70), peer(50)]),
  );
  const result = await found;
  expect(asked).toEqual([70, 50, 90, 80, 110]);
  expect(silent).toEqual([70, 90]);
  expect([hopsOf(result), timeoutsOf(result)]).toEqual([3, 2]);
});

test('takes the next owner when the first is dead, and does not ask that again', async () => {
  const { found, asked } = look(
    { 90: { route: advice([], [peer(110), peer(120)]) }, 120: { neighbours: between(peer(110)) } },
    advice([peer(90)]),
  );
  expect((await found).owner).toEqual(peer(120));
  expect(asked).toEqual([90, 110, 120]);
});

test('follows an owner that knows of a newer one before it, one after the other', async () => {
  const { found } = look(
    {
      130: { neighbours: between(peer(120)) },
      120: { neighbours: between(peer(110)) },
      110: { neighbours: between(peer(99)) },
    },
    advice([], [peer(130)]),
  );
  expect((await found).owner).toEqual(peer(110));
});

test('does not follow a predecessor that lies before the key, or is dead', async () => {
  const before = look({ 130: { neighbours: between(peer(99)) } }, advice([], [peer(130)]));
  expect((await before.found).owner).toEqual(peer(130));
  const dead = look({ 130: { neighbours: between(peer(120)) } }, advice([], [peer(130)]));
  expect((await dead.found).owner).toEqual(peer(130));
});

test('gives up when nobody is left', async () => {
  await expect(look({}, advice([peer(50), peer(20)])).found).rejects.toMatchObject({ code: 'NO_WAY' });
});

test('gives up after so many contacts, whatever nodes say', async () => {
  const endless: Record<number, { route: Route }> = {};
  for (let at = 2; at < 99; at++) endless[at] = { route: advice([peer(at + 1)]) };
  const { found, asked } = look(endless, advice([peer(2)]), { hopLimit: 7 });
  await expect(found).rejects.toMatchObject({ code: 'HOP_LIMIT' });
  expect(asked).toEqual([2, 3, 4, 5, 6, 7, 8]);
});

test('takes no more advice from a node than it may give', async () => {
  const many = Array.from({ length: 17 }, (_, at) => peer(99 - at));
  const { found, asked } = look({ 50: { route: advice(many) } }, advice([peer(50)]));
  await expect(found).rejects.toMatchObject({ code: 'NO_WAY' });
  expect(asked).toHaveLength(17);
  expect(asked).not.toContain(83);
});
