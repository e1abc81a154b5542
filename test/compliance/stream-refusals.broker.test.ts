import { describe, expect, test } from 'vitest';
import { brokerUrl } from '../support/broker.ts';
import { noPrefetchOnStream, rejectOnStream } from './differences.ts';
import { append, range, read, stream, textOf } from './stream.ts';
import { asKnown } from './which-broker.ts';
import { vhostOf } from './wire/handshake.ts';

const vhost = vhostOf(brokerUrl());

describe('what a stream is not for', () => {
  test('basic.get: 540', async () => {
    const { queue, peer } = await stream();
    expect(await peer.refused(1, 'basic.get', { queue })).toEqual({
      scope: 'connection',
      code: 540,
      text: `NOT_IMPLEMENTED - basic.get not supported by stream queues queue '${queue}' in vhost '${vhost}'`,
      method: 'basic.get',
    });
  });

  test('purging: 540', async () => {
    const { queue, peer } = await stream();
    expect(await peer.refused(1, 'queue.purge', { queue })).toEqual({
      scope: 'connection',
      code: 540,
      text: `NOT_IMPLEMENTED - queue.purge not supported by stream queues queue '${queue}' in vhost '${vhost}'`,
      method: 'queue.purge',
    });
  });

  test('consuming without acknowledgements: 540', async () => {
    const { queue, peer } = await stream();
    await peer.call(1, 'basic.qos', { prefetchCount: 10 });
    const refusal = await peer.refused(1, 'basic.consume', { queue, noAck: true });
    expect(refusal).toMatchObject({ scope: 'connection', code: 540, method: 'basic.consume' });
    expect(refusal.text).toMatch(/^NOT_IMPLEMENTED - automatic acknowledgement not supported by stream queues? /);
  });

  test('consuming without a prefetch: 406', async () => {
    const { queue, peer } = await stream();
    const refusal = await peer.refused(1, 'basic.consume', { queue });
    const known = (await asKnown(noPrefetchOnStream)).replace('Q', queue).replace('V', vhost);
    expect(refusal).toEqual({
      scope: 'channel',
      code: 406,
      text: `PRECONDITION_FAILED - ${known}`,
      method: 'basic.consume',
    });
  });

  test('a global prefetch: 540 beside one of its own, else as none', async () => {
    const { queue, peer } = await stream();
    await peer.call(1, 'basic.qos', { prefetchCount: 3, global: true });
    expect(await peer.refused(1, 'basic.consume', { queue })).toMatchObject({ scope: 'channel', code: 406 });
    await peer.openChannel(1);
    await peer.call(1, 'basic.qos', { prefetchCount: 3 });
    await peer.call(1, 'basic.qos', { prefetchCount: 3, global: true });
    expect(await peer.refused(1, 'basic.consume', { queue })).toMatchObject({ scope: 'connection', code: 540 });
  });

  test('reject and nack', async () => {
    const known = await asKnown(rejectOnStream);
    for (const method of ['basic.reject', 'basic.nack'] as const) {
      const { queue, peer } = await stream();
      await append(peer, queue, range(0, 2));
      const next = await read(peer, queue, 'first', { prefetch: 1 });
      await next();
      peer.send(1, method, { deliveryTag: 1, requeue: true });
      if (known === 540) expect(await peer.refusal(1)).toMatchObject({ scope: 'connection', code: 540 });
      else expect(textOf(await next())).toBe('1');
    }
  });
});
