import { describe, expect, test } from 'vitest';
import { brokerUrl, uniqueName } from '../support/broker.ts';
import { until } from '../support/until.ts';
import { openPeer } from './clients.ts';
import { badStreamOffset } from './differences.ts';
import { append, bodies, range, read, stream } from './stream.ts';
import { asKnown } from './which-broker.ts';
import { vhostOf } from './wire/handshake.ts';
import { type TableValue, typed } from './wire/table.ts';

const vhost = vhostOf(brokerUrl());

describe('where reading begins', () => {
  test.for<[string, TableValue | undefined, string[]]>([
    ["at 'first': all there is, and what comes", 'first', [...range(0, 5), 'new']],
    ["at 'last': the last there is, and what comes", 'last', ['4', 'new']],
    ["at 'next': only what comes", 'next', ['new']],
    ['nowhere said: only what comes', undefined, ['new']],
    ['at a number: that entry and on', 3, ['3', '4', 'new']],
    ['at number 0: all there is', 0, [...range(0, 5), 'new']],
    ['at a number of another integer type', typed('l', 2), ['2', '3', '4', 'new']],
  ])('%s', async ([, offset, expected]) => {
    const { queue, peer } = await stream();
    await append(peer, queue, range(0, 5));
    const next = await read(peer, queue, offset);
    await append(peer, queue, ['new']);
    expect(await bodies(next, expected.length)).toEqual(expected);
  });

  test('at a number that is not there yet: waits for it', async () => {
    const { queue, peer } = await stream();
    await append(peer, queue, range(0, 3));
    const next = await read(peer, queue, 5);
    await append(peer, queue, range(3, 8));
    expect(await bodies(next, 3)).toEqual(['5', '6', '7']);
  });

  test('at a timestamp: the first entry of that second or later', async () => {
    const { queue, peer } = await stream();
    const seconds = (): number => Math.floor(Date.now() / 1000);
    await append(peer, queue, ['old']);
    const written = seconds();
    const later = await until(seconds, now => now > written);
    await append(peer, queue, ['new', 'newer']);
    const next = await read(peer, queue, typed('T', later));
    expect(await bodies(next, 2)).toEqual(['new', 'newer']);
    const all = await read(peer, queue, typed('T', written - 60), { channel: 3 });
    expect(await bodies(all, 3)).toEqual(['old', 'new', 'newer']);
    const future = await read(peer, queue, typed('T', later + 3600), { channel: 4 });
    await append(peer, queue, ['newest']);
    expect(await bodies(future, 1)).toEqual(['newest']);
  });

  test('anything else is refused', async () => {
    for (const offset of ['somewhere', true]) {
      const { queue, peer } = await stream();
      await peer.call(1, 'basic.qos', { prefetchCount: 1 });
      const args = { 'x-stream-offset': offset };
      const refusal = await peer.refused(1, 'basic.consume', { queue, arguments: args });
      expect(refusal).toMatchObject(await asKnown(badStreamOffset));
    }
  });

  test('an offset is nothing for other queues: 406', async () => {
    const peer = await openPeer();
    const queue = uniqueName('classic');
    await peer.call(1, 'queue.declare', { queue, exclusive: true });
    const refusal = await peer.refused(1, 'basic.consume', { queue, arguments: { 'x-stream-offset': 'first' } });
    expect(refusal).toEqual({
      scope: 'channel',
      code: 406,
      text: `PRECONDITION_FAILED - invalid arg 'x-stream-offset' for queue '${queue}' in vhost '${vhost}' of queue type rabbit_classic_queue`,
      method: 'basic.consume',
    });
  });
});
