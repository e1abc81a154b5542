import { expect, onTestFinished, test } from 'vitest';
import type { Holding } from '../../proto/gen/warren/peer/v1/peer.ts';
import type { MemberId } from '../../services/lib/identity/member-id.ts';
import { PullSources, type SourceNeeds } from '../../services/peer/pull-sources.ts';
import { until } from '../support/until.ts';
import { sampleContent } from './parts/content.ts';

const content = sampleContent(1_000);

function member(number: number): MemberId {
  return number.toString(16).padStart(64, '0') as MemberId;
}

/** A source that says of itself what it is given, again and again. */
function sourcesThat(say: () => Partial<Holding>, heard: (coming: number) => void = () => {}): PullSources {
  const over = new AbortController();
  onTestFinished(() => over.abort());
  const client = {
    async *watchPieceMap() {
      while (!over.signal.aborted) {
        yield { holding: { isComplete: true, map: Buffer.alloc(0), added: [], coming: [], others: [], ...say() } };
        await new Promise(resolve => setImmediate(resolve));
      }
    },
  };
  const needs: SourceNeeds = {
    ...{ id: content.id, own: member(0), transferId: '', random: Math.random, warn: () => {}, signal: over.signal },
    dial: async id => {
      if (id !== member(1)) throw new Error('nobody is there');
      return { way: 'direct', client: () => client } as unknown as Awaited<ReturnType<SourceNeeds['dial']>>;
    },
    locator: { known: () => [], locate: async () => [], find: async () => [], contactOf: async () => undefined },
  };
  const sources = new PullSources(needs);
  sources.attach(
    { join() {}, holding: (_source, { coming }) => heard(coming.length), leave() {}, sources: () => [] },
    content.head.length,
  );
  sources.add({ memberId: member(1), name: 'liar', addresses: [] });
  return sources;
}

test('a source that names strangers without end does not keep out whom the directory names', async () => {
  let named = 2;
  const sources = sourcesThat(() => ({ others: Array.from({ length: 64 }, () => member(named++)) }));
  await until(
    async () => named,
    count => count > 400,
  );
  expect(sources.count).toBe(33);
  sources.add({ memberId: member(1_000_000), name: 'honest', addresses: [] });
  expect(sources.count).toBe(34);
});

test('a source that says the same pieces again and again is not counted through', async () => {
  const heard: number[] = [];
  const again = Array.from({ length: 1_024 }, () => ({ first: 0, count: 2 ** 32 - 1 }));
  sourcesThat(
    () => ({ coming: again }),
    coming => heard.push(coming),
  );
  await until(
    async () => heard.length,
    count => count > 2,
  );
  expect(Math.max(...heard)).toBe(8);
});
