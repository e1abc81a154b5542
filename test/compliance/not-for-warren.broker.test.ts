import { expect, test } from 'vitest';
import { uniqueName } from '../support/broker.ts';
import { openPeer } from './clients.ts';
import { notForWarren } from './differences.ts';
import { asKnown } from './which-broker.ts';
import type { Fields } from './wire/codec.ts';
import type { MethodName } from './wire/methods.ts';

const exchange = uniqueName('unused');
const ends = { destination: 'amq.fanout', source: 'amq.direct', routingKey: uniqueName('unused') };

test.for<[string, MethodName, Fields]>([
  ['transactions', 'tx.select', {}],
  ['bindings between exchanges', 'exchange.bind', ends],
  ['unbinding exchanges', 'exchange.unbind', ends],
  ['headers exchanges', 'exchange.declare', { exchange, type: 'headers', autoDelete: true }],
  [
    'alternate exchanges',
    'exchange.declare',
    { exchange, type: 'direct', autoDelete: true, arguments: { 'alternate-exchange': 'amq.fanout' } },
  ],
  ['priority queues', 'queue.declare', { exclusive: true, arguments: { 'x-max-priority': 3 } }],
  ['recover', 'basic.recover', { requeue: true }],
])('%s (%s) are there or refused with 540', async ([, method, fields]) => {
  const peer = await openPeer();
  if ((await asKnown(notForWarren)) === 540) {
    expect(await peer.refused(1, method, fields)).toMatchObject({ scope: 'connection', code: 540, method });
    await peer.closed();
    return;
  }
  await peer.call(1, method, fields);
  if (method === 'exchange.bind') await peer.call(1, 'exchange.unbind', fields);
  if (method === 'exchange.declare') await peer.call(1, 'exchange.delete', { exchange });
});

test('a channel is for transactions or for confirms, not for both', async () => {
  if ((await asKnown(notForWarren)) === 540) return;
  for (const [first, then] of [
    ['tx.select', 'confirm.select'],
    ['confirm.select', 'tx.select'],
  ] as const) {
    const peer = await openPeer();
    await peer.call(1, first);
    expect(await peer.refused(1, then)).toMatchObject({ scope: 'channel', code: 406, method: then });
  }
});
