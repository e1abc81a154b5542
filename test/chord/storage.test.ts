import { describe, expect, test } from 'vitest';
import { maxSlotsOfWriter, maxValue } from '../../services/chord/bounds.ts';
import { gather, holdersOf } from '../../services/chord/holders.ts';
import type { RingRecord } from '../../services/chord/record.ts';
import type { RingStorage, Value } from '../../services/chord/storage.ts';
import { id, peer, SmallRing } from './simulation/small-ring.ts';

const text = (value: Value | undefined): string | undefined => value && Buffer.from(value.value).toString();
const octets = (value: string): Uint8Array => Buffer.from(value);
const storageAt = (ring: SmallRing, place: number): RingStorage => ring.at(place).first.storage;
const places = [10, 20, 30, 40, 50, 60];

async function put(ring: SmallRing, place: number, key: number, value: string): Promise<void> {
  await ring.run(storageAt(ring, place).put(id(key), octets(value)));
}
async function get(ring: SmallRing, place: number, key: number): Promise<string | undefined> {
  return text(await ring.run(storageAt(ring, place).get(id(key))));
}

describe('a value', () => {
  test('is read by everybody, and lies at its owner and the next two', async () => {
    const ring = await new SmallRing().grow(...places);
    await put(ring, 50, 15, 'hello');
    await ring.pass(100);
    for (const place of places) expect(await get(ring, place, 15)).toBe('hello');
    expect(ring.holding(id(15))).toEqual([20, 30, 40]);
  });

  test('that nobody put is none', async () => {
    const ring = await new SmallRing().grow(...places);
    expect(await get(ring, 10, 15)).toBeUndefined();
  });

  test('is the last that was put, whoever put it', async () => {
    const ring = await new SmallRing().grow(...places);
    // From the highest member id to the lowest.
    for (const [at, place] of places.toReversed().entries()) await put(ring, place, 15, `number ${at}`);
    expect(await get(ring, 10, 15)).toBe('number 5');
  });

  test('is one of two that are put at once, the same one for everybody', async () => {
    const ring = await new SmallRing().grow(...places);
    await Promise.all([put(ring, 10, 15, 'one'), ring.run(storageAt(ring, 60).put(id(15), octets('other')))]);
    await ring.settle();
    const found = new Set<string | undefined>();
    for (const place of places) found.add(await get(ring, place, 15));
    expect(found.size).toBe(1);
  });

  test('is gone once it is removed, and back when it is put again', async () => {
    const ring = await new SmallRing().grow(...places);
    await put(ring, 10, 15, 'hello');
    await ring.run(storageAt(ring, 50).remove(id(15)));
    await ring.settle();
    expect(await get(ring, 10, 15)).toBeUndefined();
    await put(ring, 10, 15, 'again');
    expect(await get(ring, 50, 15)).toBe('again');
  });

  test('that was removed does not come back with a holder that missed it', async () => {
    const ring = await new SmallRing().grow(...places);
    await put(ring, 10, 15, 'hello');
    await ring.pass(100);
    ring.network.isCut = (from, to) => from === id(40) || to === id(40);
    await ring.run(storageAt(ring, 10).remove(id(15)));
    ring.network.isCut = () => false;
    await ring.settle();
    expect(await get(ring, 40, 15)).toBeUndefined();
    expect(storageAt(ring, 40).store.of(id(15), 'value', ring.queue.now())).toMatchObject([{ value: undefined }]);
  });

  test('has 64 KiB at most', async () => {
    const ring = await new SmallRing().grow(...places);
    const storage = storageAt(ring, 10);
    await expect(storage.put(id(15), new Uint8Array(maxValue + 1))).rejects.toMatchObject({ code: 'TOO_LARGE' });
    await ring.run(storage.put(id(15), new Uint8Array(maxValue)));
    expect((await ring.run(storageAt(ring, 40).get(id(15))))?.value.length).toBe(maxValue);
  });

  test('is forgotten when its life ends', async () => {
    const ring = await new SmallRing().grow(...places);
    await ring.run(storageAt(ring, 10).put(id(15), octets('hello'), 30_000));
    await ring.pass(25_000);
    expect(await get(ring, 60, 15)).toBe('hello');
    await ring.pass(10_000);
    expect(await get(ring, 60, 15)).toBeUndefined();
    expect(ring.holding(id(15))).toEqual([]);
  });

  test.each([1, 2, 3])('is kept by a ring of %i, and moves on as that grows', async count => {
    const ring = await new SmallRing().grow(...places.slice(0, count));
    await put(ring, 10, 15, 'hello');
    await ring.settle();
    expect(ring.holding(id(15))).toHaveLength(count);
    for (const place of places.slice(count)) await ring.run(ring.host(peer(place)).join([peer(10)]));
    await ring.settle();
    expect(ring.holding(id(15))).toEqual([20, 30, 40]);
    expect(await get(ring, 60, 15)).toBe('hello');
  });
});

describe('copies', () => {
  test('are three again after one holder failed, and another', async () => {
    const ring = await new SmallRing().grow(...places);
    await put(ring, 10, 15, 'hello');
    ring.kill(20);
    expect(await get(ring, 10, 15)).toBe('hello');
    await ring.settle();
    expect(ring.holding(id(15))).toEqual([30, 40, 50]);
    ring.kill(40);
    await ring.settle();
    expect(ring.holding(id(15))).toEqual([30, 50, 60]);
    expect(await get(ring, 60, 15)).toBe('hello');
  });

  test('go to a node that joins among the holders, and leave the one that is none any more', async () => {
    const ring = await new SmallRing().grow(...places);
    await put(ring, 10, 15, 'hello');
    await ring.run(ring.host(peer(17)).join([peer(60)]));
    expect(await get(ring, 60, 15)).toBe('hello');
    await ring.settle();
    expect(ring.holding(id(15))).toEqual([17, 20, 30]);
    expect(ring.events).toContainEqual({ type: 'moved-keys', node: peer(40), count: 1 });
  });

  test('are taken back by nobody that gives the others away', async () => {
    const ring = await new SmallRing().grow(...places);
    for (const key of [15, 16]) await put(ring, 10, key, 'hello');
    await ring.pass(100);
    const { store } = storageAt(ring, 40);
    for (const digest of store.on(id(15), id(16), ring.queue.now())) store.forget(digest);
    await ring.run(ring.host(peer(17)).join([peer(60)]));
    await ring.settle();
    for (const key of [15, 16]) expect(ring.holding(id(key))).toEqual([17, 20, 30]);
  });

  test('are handed over by whoever leaves, before it does', async () => {
    const ring = await new SmallRing({ stabilizeMs: 1e6, repairMs: 1e6 }).grow(...places);
    await put(ring, 10, 15, 'hello');
    await ring.run(ring.at(20).leave());
    expect(ring.holding(id(15))).toEqual([30, 40, 50]);
    await ring.pass(2_000);
    expect(await get(ring, 60, 15)).toBe('hello');
  });

  test('are not left with a node that is leaving, which acknowledges nothing any more', async () => {
    const ring = await new SmallRing({ stabilizeMs: 1e6, repairMs: 1e6 }).grow(...places);
    ring.network.isCut = (from, to) => from === id(60) && to === id(40);
    const putting = put(ring, 60, 15, 'hello');
    // So that the value comes when all that was there has been handed over.
    await ring.pass(12);
    await ring.run(ring.at(20).leave());
    ring.network.kill(id(20));
    await putting;
    ring.network.isCut = () => false;
    // With the one that left it would be the second of three.
    ring.kill(30);
    expect(await get(ring, 60, 15)).toBe('hello');
  });

  test('of many values move in as many calls as it takes', async () => {
    const ring = await new SmallRing().grow(...places);
    for (let at = 0; at < 40; at++) await put(ring, 10, 2_000 + at, `value ${at}`);
    await ring.run(ring.host(peer(2_100)).join([peer(10)]));
    await ring.settle();
    expect(storageAt(ring, 2_100).store.size).toBe(40);
    expect(await get(ring, 30, 2_039)).toBe('value 39');
  });

  test('lie with different members, where members have several nodes', async () => {
    const ring = new SmallRing({ r: 8 });
    const first = ring.host(peer(10, 1), peer(20, 1, 1), peer(30, 1, 2));
    await ring.run(first.found());
    for (const member of [2, 3, 4]) {
      const base = member * 100;
      const host = ring.host(peer(base, member), peer(base + 1, member, 1), peer(base + 2, member, 2));
      await ring.run(host.join([peer(10, 1)]));
      await ring.settle();
    }
    await ring.run(first.first.storage.put(id(5), octets('hello')));
    await ring.settle();
    expect(ring.holding(id(5))).toEqual([10, 200, 300]);
    ring.kill(10);
    await ring.settle();
    expect(ring.holding(id(5))).toEqual([200, 300, 400]);
    expect(await get(ring, 300, 5)).toBe('hello');
  });
});

test('holders that have all come lately, and have not been told anything yet, are not taken at their word that there is nothing', async () => {
  const ring = await new SmallRing({ stabilizeMs: 300, repairMs: 1e6 }).grow(...places);
  await put(ring, 10, 15, 'hello');
  await ring.pass(100);
  const { weather } = ring.network;
  ring.network.weather = { ...weather, isLost: call => call === 'reconcile' };
  for (const place of [19, 17, 16]) {
    await ring.run(ring.host(peer(place)).join([peer(60)]));
    await ring.pass(3_000);
  }
  ring.network.weather = weather;
  // The owner compares with 17 and 19, which have nothing either.
  storageAt(ring, 16).hear();
  expect(await get(ring, 60, 15)).toBe('hello');
  expect(ring.holding(id(15))).toEqual(expect.arrayContaining([16, 17, 19]));
});

test('of two that joined at once and both take themselves for the owner, one learns of the other before anybody relies on it', async () => {
  const ring = await new SmallRing({ stabilizeMs: 1e6, repairMs: 1e6 }).grow(10, 40, 50, 60, 70);
  const { weather } = ring.network;
  // Nobody before them hears of those who join.
  ring.network.weather = { ...weather, isLost: call => call === 'nudge' };
  await ring.run(ring.host(peer(20)).join([peer(60)]));
  await ring.pass(1_000);
  for (const place of [30, 33, 36]) await ring.run(ring.host(peer(place)).join([peer(60)]));
  for (const place of [33, 30, 30]) await ring.run(ring.at(place).first.node.stabilize());
  expect(
    ring
      .at(30)
      .first.node.neighbours.successors.slice(0, 3)
      .map(({ id }) => Number(id)),
  ).toEqual([33, 36, 40]);
  storageAt(ring, 30).hear();
  await ring.pass(500);
  await put(ring, 60, 15, 'hello');
  expect(await get(ring, 20, 15)).toBe('hello');
});

describe('a put', () => {
  test('is not acknowledged while a majority of the holders is silent', async () => {
    // Not long enough for others to take their places.
    const ring = await new SmallRing({ stabilizeMs: 1e6, repairMs: 1e6, patienceMs: 300 }).grow(...places);
    ring.network.isCut = (_, to) => to === id(30) || to === id(40);
    await expect(put(ring, 10, 15, 'hello')).rejects.toMatchObject({ code: 'NO_MAJORITY' });
  });

  test('is acknowledged with one of three silent', async () => {
    const ring = await new SmallRing({ stabilizeMs: 1e6, repairMs: 1e6 }).grow(...places);
    ring.network.isCut = (_, to) => to === id(40);
    await put(ring, 10, 15, 'hello');
    expect(await get(ring, 60, 15)).toBe('hello');
  });

  test('is refused when its writer has filled what it may', async () => {
    const ring = await new SmallRing().grow(10);
    const { store } = storageAt(ring, 10);
    const one: RingRecord = {
      ...{
        key: id(0),
        kind: 'value',
        writer: peer(10).member,
        counter: 1,
        value: octets('x'),
        lifeMs: 1e6,
        leftMs: 1e6,
      },
      ...{ publicKey: new Uint8Array(), signature: new Uint8Array() },
    };
    for (let at = 0; at < maxSlotsOfWriter; at++) store.put({ ...one, key: id(1_000 + at) }, ring.queue.now());
    await expect(put(ring, 10, 15, 'hello')).rejects.toMatchObject({ code: 'REFUSED' });
  });

  test('outside of a ring is told so at once', async () => {
    const { storage } = new SmallRing().host(peer(10)).first;
    await expect(storage.put(id(1), octets('x'))).rejects.toMatchObject({ code: 'OUTSIDE' });
  });
});

describe('a stranger', () => {
  const forged = (changes: Partial<RingRecord> = {}): RingRecord => ({
    ...{
      key: id(15),
      kind: 'value',
      writer: peer(10).member,
      counter: 9,
      value: octets('false'),
      lifeMs: 1e6,
      leftMs: 1e6,
    },
    ...{ publicKey: new Uint8Array(32), signature: new Uint8Array([0]) },
    ...changes,
  });

  test('stores nothing that its writer has not signed', async () => {
    const ring = await new SmallRing().grow(...places);
    const { storage } = ring.at(20).first;
    expect(storage.answer('store', { record: forged(), asOwner: true }, peer(60)).status).toBe('refused');
  });

  test('is not believed when it answers with such', async () => {
    const ring = await new SmallRing().grow(...places);
    await put(ring, 10, 15, 'hello');
    await ring.pass(100);
    storageAt(ring, 30).store.put(forged(), ring.queue.now());
    expect(await get(ring, 60, 15)).toBe('hello');
    await ring.settle();
    expect(await get(ring, 60, 15)).toBe('hello');
    expect(storageAt(ring, 20).store.of(id(15), 'value', ring.queue.now())).toMatchObject([{ counter: 1 }]);
  });

  test('stores nothing as with the owner at a node that is not', async () => {
    const ring = await new SmallRing().grow(...places);
    const record = forged({ signature: new Uint8Array([1]) });
    expect(storageAt(ring, 40).answer('store', { record, asOwner: true }, peer(60)).status).toBe('not-owner');
    expect(ring.holding(id(15))).toEqual([]);
  });

  test('gets no more at once than it may', async () => {
    const ring = await new SmallRing().grow(10);
    const slots: string[] = [];
    for (let at = 0; at < 20; at++) {
      await put(ring, 10, at, 'x');
      slots.push(`v:${at.toString(16).padStart(40, '0')}`);
    }
    expect(storageAt(ring, 10).answer('retrieve', { slots }, peer(60)).records).toHaveLength(16);
  });
});

describe('providers of a file', () => {
  test('are all who said that they have it, with what they say', async () => {
    const ring = await new SmallRing().grow(...places);
    for (const place of [10, 30, 50])
      await ring.run(storageAt(ring, place).provide(id(25), () => octets(`at ${place}`)));
    const found = await ring.run(storageAt(ring, 60).providers(id(25)));
    expect(found.map(each => [each.writer, text(each)]).sort()).toEqual(
      [10, 30, 50].map(place => [peer(place).member, `at ${place}`]),
    );
  });

  test('are no more once they withdraw', async () => {
    const ring = await new SmallRing().grow(...places);
    for (const place of [10, 30]) await ring.run(storageAt(ring, place).provide(id(25)));
    await ring.run(storageAt(ring, 10).withdraw(id(25)));
    await ring.pass(200_000);
    expect((await ring.run(storageAt(ring, 60).providers(id(25)))).map(({ writer }) => writer)).toEqual([
      peer(30).member,
    ]);
  });

  test('stay while they live, and are forgotten after that', async () => {
    const ring = await new SmallRing().grow(...places);
    await ring.run(storageAt(ring, 60).provide(id(25)));
    await ring.pass(200_000);
    expect(await ring.run(storageAt(ring, 10).providers(id(25)))).toHaveLength(1);
    ring.kill(60);
    await ring.pass(61_000);
    expect(await ring.run(storageAt(ring, 10).providers(id(25)))).toEqual([]);
  });
});

describe('the holders of a key', () => {
  const of = (successors: readonly number[], owner = 1) => {
    const found = { owner: peer(owner), successors: successors.map(place => peer(place)) };
    const { peers, needed, isWhole } = holdersOf(found, { k: 3, r: 4 });
    return [peers.map(({ id }) => Number(id)), needed, isWhole];
  };

  test('are the owner and the next two', () => {
    expect(of([2, 3, 4, 5])).toEqual([[1, 2, 3], 2, true]);
  });

  test('are fewer in a small ring, and so is their majority', () => {
    expect(of([1, 1, 1, 1])).toEqual([[1], 1, true]);
    expect(of([2, 1, 2, 1])).toEqual([[1, 2], 2, true]);
  });

  test('are two of three at least while the list is short only for now', () => {
    expect(of([2])).toEqual([[1, 2], 2, false]);
    expect(of([])).toEqual([[1], 2, false]);
  });
});

test('asking several at once ends with enough, or when nothing more can come', async () => {
  const never = new Promise<number>(() => {});
  const enough = await gather(
    [Promise.resolve(1), never, Promise.resolve(3)],
    came => came.filter(Boolean).length >= 2,
  );
  expect(enough).toEqual([1, undefined, 3]);
  expect(await gather([Promise.reject(new Error('x')), Promise.resolve(undefined)], () => false)).toEqual([
    undefined,
    undefined,
  ]);
  expect(await gather([], () => false)).toEqual([]);
});
