import { describe, expect, test } from 'vitest';
import { maxProvidedOfWriter } from '../../services/chord/bounds.ts';
import type { Identifier } from '../../services/chord/identifier.ts';
import type { RingStorage } from '../../services/chord/storage.ts';
import { id, peer, SmallRing } from './simulation/small-ring.ts';

const places = [10, 20, 30, 40, 50, 60];
const storageAt = (ring: SmallRing, place: number): RingStorage => ring.at(place).first.storage;
const nothing = (): Uint8Array => new Uint8Array();

/** Who is said to have it, as every node sees it. */
async function seen(ring: SmallRing, file: Identifier, at = 60): Promise<number[]> {
  const found = await ring.run(storageAt(ring, at).providers(file));
  return found.map(({ writer }) => Number.parseInt(writer, 16)).sort((one, other) => one - other);
}

/** Calls of one kind that cross the network from now on. */
function counting(ring: SmallRing, of: string): { readonly count: number } {
  const counted = { count: 0 };
  const { weather } = ring.network;
  ring.network.weather = {
    ...weather,
    isLost(call) {
      if (call === of) counted.count++;
      return weather.isLost(call);
    },
  };
  return counted;
}

describe('what a member publishes', () => {
  test('is told to the ring soon, and goes when it is removed', async () => {
    const ring = await new SmallRing().grow(...places);
    for (const file of [5, 15, 25]) storageAt(ring, 10).publisher.add(id(file), nothing);
    await ring.pass(500);
    for (const file of [5, 15, 25]) expect(await seen(ring, id(file))).toEqual([10]);
    storageAt(ring, 10).publisher.remove(id(15));
    await ring.pass(500);
    expect(await seen(ring, id(15))).toEqual([]);
    expect(storageAt(ring, 10).publisher.size).toBe(2);
  });

  test('is there as long as the member is, and no longer than its life', async () => {
    const ring = await new SmallRing().grow(...places);
    storageAt(ring, 50).publisher.add(id(15), nothing);
    await ring.pass(300_000);
    expect(await seen(ring, id(15))).toEqual([50]);
    ring.kill(50);
    await ring.pass(61_000);
    expect(await seen(ring, id(15))).toEqual([]);
  });

  test('with many keys takes a call for many of them at each holder, and no more than a thousand a second', async () => {
    const ring = await new SmallRing().grow(...places);
    const calls = counting(ring, 'storeAll');
    const files = Array.from({ length: 2_000 }, (_, at) => id(1_000_000 + at));
    for (const file of files) storageAt(ring, 30).publisher.add(file, nothing);
    await ring.pass(1_000);
    const early = storageAt(ring, 10).store.size;
    expect(early).toBeLessThan(1_500);
    await ring.pass(2_500);
    expect(storageAt(ring, 10).store.size).toBe(2_000);
    // 32 batches of 64 to three holders at most, counted there and back.
    expect(calls.count).toBeLessThanOrEqual(2 * 3 * 33);
    for (const file of [files[0], files[1_999]]) expect(await seen(ring, file as Identifier)).toEqual([30]);
  });

  test('while it is outside of a ring is told once it is in', async () => {
    const ring = await new SmallRing().grow(...places);
    const late = ring.host(peer(35));
    late.first.storage.publisher.add(id(15), nothing);
    await ring.pass(5_000);
    await ring.run(late.join([peer(10)]));
    await ring.pass(3_000);
    expect(await seen(ring, id(15))).toEqual([35]);
  });

  test('is told again where its holders did not answer', async () => {
    const ring = await new SmallRing({ stabilizeMs: 1e6, repairMs: 1e6 }).grow(...places);
    ring.network.isCut = (_, to) => to === id(30) || to === id(40);
    storageAt(ring, 60).publisher.add(id(15), nothing);
    await ring.pass(3_000);
    ring.network.isCut = () => false;
    await ring.pass(10_000);
    expect(await seen(ring, id(15), 10)).toEqual([60]);
    for (const place of [20, 30, 40])
      expect(storageAt(ring, place).store.of(id(15), 'provider', ring.queue.now())).toHaveLength(1);
  });

  test('goes before what an earlier life of the member had said, though that had counted farther', async () => {
    const ring = await new SmallRing().grow(...places);
    for (let left = 5; left > 0; left--)
      await ring.run(storageAt(ring, 60).provide(id(15), () => new Uint8Array([left])));
    ring.kill(60);
    await ring.settle();
    await ring.run(ring.host(peer(60)).join([peer(10)]));
    await ring.settle();
    storageAt(ring, 60).publisher.add(id(15), () => new Uint8Array([77]));
    await ring.pass(2_000);
    const [found] = await ring.run(storageAt(ring, 10).providers(id(15)));
    expect(found?.value).toEqual(new Uint8Array([77]));
  });

  test('is so much and no more', async () => {
    const { publisher } = storageAt(await new SmallRing().grow(10), 10);
    for (let at = 0; at < maxProvidedOfWriter; at++) publisher.add(id(at), nothing);
    expect(() => publisher.add(id(1_000_000), nothing)).toThrow(expect.objectContaining({ code: 'REFUSED' }));
    publisher.add(id(5), nothing);
  });
});

test('values are not stored several at once', async () => {
  const ring = await new SmallRing().grow(...places);
  const record = {
    ...{ key: id(15), kind: 'value' as const, writer: peer(10).member, counter: 9, value: new Uint8Array([1]) },
    ...{ lifeMs: 1e6, leftMs: 1e6, publicKey: new Uint8Array(32), signature: new Uint8Array([1]) },
  };
  const { replies } = storageAt(ring, 20).answer('storeAll', { records: [record], asOwner: true }, peer(60));
  expect(replies.map(({ status }) => status)).toEqual(['refused']);
  const many = Array.from({ length: 65 }, (_, at) => ({
    ...record,
    kind: 'provider' as const,
    key: id(11 + (at % 9)),
  }));
  expect(storageAt(ring, 20).answer('storeAll', { records: many, asOwner: true }, peer(60)).replies).toHaveLength(64);
});
