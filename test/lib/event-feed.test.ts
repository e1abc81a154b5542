import { expect, test } from 'vitest';
import { EventFeed } from '../../services/lib/event-feed.ts';

async function taken<T>(events: AsyncIterable<T>, count: number): Promise<T[]> {
  const all: T[] = [];
  for await (const event of events) {
    all.push(event);
    if (all.length === count) break;
  }
  return all;
}

test('each follower has all that happens from when it began, in order', async () => {
  const feed = new EventFeed<number>();
  const { signal } = new AbortController();
  feed.tell(0);
  const one = feed.follow(signal);
  feed.tell(1);
  const other = feed.follow(signal);
  feed.tell(2);
  expect(await taken(one, 2)).toEqual([1, 2]);
  const later = taken(other, 2);
  feed.tell(3);
  expect(await later).toEqual([2, 3]);
});

test('one that does not keep up has what it had, and is told; no other waits for it', async () => {
  const feed = new EventFeed<number>(3);
  const { signal } = new AbortController();
  const [slow, quick] = [feed.follow(signal), feed.follow(signal)];
  const all = taken(quick, 6);
  const seen: number[] = [];
  for (let at = 0; at < 6; at++) {
    feed.tell(at);
    await Promise.resolve();
    await new Promise(resolve => setImmediate(resolve));
  }
  expect(await all).toEqual([0, 1, 2, 3, 4, 5]);
  await expect(
    (async () => {
      for await (const event of slow) seen.push(event);
    })(),
  ).rejects.toMatchObject({ code: 'FEED_BEHIND' });
  expect(seen).toEqual([0, 1, 2]);
});

test('it ends with its signal', async () => {
  const feed = new EventFeed<number>();
  const ending = new AbortController();
  const events = taken(feed.follow(ending.signal), 10);
  feed.tell(1);
  setImmediate(() => ending.abort());
  expect(await events).toEqual([1]);
});
