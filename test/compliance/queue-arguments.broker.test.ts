import { describe, expect, test } from 'vitest';
import { brokerUrl, uniqueName } from '../support/broker.ts';
import { openPeer, removeAfterTest } from './clients.ts';
import { queueTypeAdded, queueTypeRemoved, takesLongDeadLetterKey } from './differences.ts';
import { asKnown } from './which-broker.ts';
import type { Fields } from './wire/codec.ts';
import { vhostOf } from './wire/handshake.ts';
import { type Table, typed } from './wire/table.ts';

const vhost = vhostOf(brokerUrl());
const quorum = { 'x-queue-type': 'quorum' };
const stream = { 'x-queue-type': 'stream' };

const notInteger = '"expected integer, got longstr"';
const negative = '{value_negative,-1}';

describe('an argument that cannot be is refused with 406', () => {
  test.for<[Table, string, string]>([
    [{ 'x-message-ttl': '100' }, 'x-message-ttl', notInteger],
    [{ 'x-message-ttl': 1.5 }, 'x-message-ttl', '"expected integer, got double"'],
    [{ 'x-message-ttl': true }, 'x-message-ttl', '"expected integer, got bool"'],
    [{ 'x-message-ttl': -1 }, 'x-message-ttl', negative],
    [{ 'x-expires': '100' }, 'x-expires', notInteger],
    [{ 'x-expires': -1 }, 'x-expires', negative],
    [{ 'x-expires': 0 }, 'x-expires', '{value_zero,0}'],
    [{ 'x-max-length': '5' }, 'x-max-length', notInteger],
    [{ 'x-max-length': -1 }, 'x-max-length', negative],
    [{ 'x-max-length-bytes': -1 }, 'x-max-length-bytes', negative],
    [{ 'x-overflow': 'drop-tail' }, 'x-overflow', 'invalid_overflow'],
    [{ 'x-overflow': 1 }, 'x-overflow', '{unacceptable_type,signedint}'],
    [{ 'x-dead-letter-routing-key': 'k' }, 'x-dead-letter-routing-key', 'routing_key_but_no_dlx_defined'],
    [
      { 'x-dead-letter-exchange': 'x', 'x-dead-letter-routing-key': 1 },
      'x-dead-letter-routing-key',
      '{unacceptable_type,signedint}',
    ],
    [{ 'x-single-active-consumer': 'yes' }, 'x-single-active-consumer', '{unacceptable_type,longstr}'],
    [{ 'x-single-active-consumer': 1 }, 'x-single-active-consumer', '{unacceptable_type,signedint}'],
    [{ 'x-queue-type': 'nope' }, 'x-queue-type', `"unsupported queue type 'nope'"`],
    [{ 'x-queue-type': 1 }, 'x-queue-type', '{unacceptable_type,signedint}'],
    [{ ...stream, 'x-max-age': 3600 }, 'x-max-age', '{unacceptable_type,signedint}'],
    [{ ...stream, 'x-stream-max-segment-size-bytes': 'x' }, 'x-stream-max-segment-size-bytes', notInteger],
  ])('%j', async ([args, name, why]) => {
    const peer = await openPeer();
    const queue = uniqueName('refused');
    expect(await peer.refused(1, 'queue.declare', { queue, durable: true, arguments: args })).toEqual({
      scope: 'channel',
      code: 406,
      text: `PRECONDITION_FAILED - invalid arg '${name}' for queue '${queue}' in vhost '${vhost}': ${why}`,
      method: 'queue.declare',
    });
  });

  test('a routing key for dead letters that no message can have', async () => {
    const peer = await openPeer();
    const queue = uniqueName('refused');
    const args = { 'x-dead-letter-exchange': '', 'x-dead-letter-routing-key': 'k'.repeat(256) };
    peer.send(1, 'queue.declare', { queue, exclusive: true, arguments: args });
    const isTaken = await asKnown(takesLongDeadLetterKey);
    if (isTaken) await peer.expect(1, 'queue.declare-ok');
    else expect(await peer.refusal(1)).toMatchObject({ scope: 'channel', code: 406 });
  });

  test('a dead letter exchange that is no name', async () => {
    const peer = await openPeer();
    const queue = uniqueName('refused');
    const refusal = await peer.refused(1, 'queue.declare', { queue, arguments: { 'x-dead-letter-exchange': 1 } });
    const text = `PRECONDITION_FAILED - invalid type 'signedint' for arg 'x-dead-letter-exchange' in queue '${queue}' in vhost '${vhost}'`;
    expect(refusal).toEqual({ scope: 'channel', code: 406, text, method: 'queue.declare' });
  });
});

describe('an argument of another type of queue is refused with 406', () => {
  test.for<[string, Table, string]>([
    ['classic', { 'x-delivery-limit': 3 }, 'x-delivery-limit'],
    ['classic', { 'x-max-age': '1h' }, 'x-max-age'],
    ['classic', { 'x-stream-max-segment-size-bytes': 1000 }, 'x-stream-max-segment-size-bytes'],
    ['quorum', { ...quorum, 'x-max-age': '1h' }, 'x-max-age'],
    ['quorum', { ...quorum, 'x-max-priority': 3 }, 'x-max-priority'],
    ['stream', { ...stream, 'x-message-ttl': 3 }, 'x-message-ttl'],
    ['stream', { ...stream, 'x-expires': 3000 }, 'x-expires'],
    ['stream', { ...stream, 'x-max-length': 3 }, 'x-max-length'],
    ['stream', { ...stream, 'x-overflow': 'reject-publish' }, 'x-overflow'],
    ['stream', { ...stream, 'x-dead-letter-exchange': 'x' }, 'x-dead-letter-exchange'],
    ['stream', { ...stream, 'x-single-active-consumer': true }, 'x-single-active-consumer'],
    ['stream', { ...stream, 'x-delivery-limit': 3 }, 'x-delivery-limit'],
    ['stream', { ...stream, 'x-max-priority': 3 }, 'x-max-priority'],
  ])('%s: %j', async ([type, args, name]) => {
    const peer = await openPeer();
    const queue = uniqueName('refused');
    expect(await peer.refused(1, 'queue.declare', { queue, durable: true, arguments: args })).toEqual({
      scope: 'channel',
      code: 406,
      text: `PRECONDITION_FAILED - invalid arg '${name}' for queue '${queue}' in vhost '${vhost}' of queue type rabbit_${type}_queue`,
      method: 'queue.declare',
    });
  });

  test.for<[Table, Fields, string]>([
    [quorum, { durable: false }, 'non-durable'],
    [quorum, { exclusive: true }, 'exclusive-owner'],
    [quorum, { autoDelete: true }, 'auto-delete'],
    [stream, { durable: false }, 'non-durable'],
    [stream, { exclusive: true }, 'exclusive-owner'],
    [stream, { autoDelete: true }, 'auto-delete'],
  ])('%j cannot be %j', async ([args, fields, property]) => {
    const peer = await openPeer();
    const queue = uniqueName('refused');
    expect(await peer.refused(1, 'queue.declare', { queue, durable: true, ...fields, arguments: args })).toEqual({
      scope: 'channel',
      code: 406,
      text: `PRECONDITION_FAILED - invalid property '${property}' for queue '${queue}' in vhost '${vhost}'`,
      method: 'queue.declare',
    });
  });

  test.for(['quorum', 'stream'])('a %s queue is not named by the server', async type => {
    const peer = await openPeer();
    const refusal = await peer.refused(1, 'queue.declare', { durable: true, arguments: { 'x-queue-type': type } });
    const text = `PRECONDITION_FAILED - Cannot declare a server-named queue for type rabbit_${type}_queue`;
    expect(refusal).toEqual({ scope: 'channel', code: 406, text, method: 'queue.declare' });
  });
});

test.for<Table>([
  { 'x-queue-type': 'classic' },
  { 'x-message-ttl': 0 },
  { 'x-max-length': 0 },
  { 'x-max-length': 5, 'x-overflow': 'reject-publish-dlx' },
  { 'x-max-length-bytes': typed('l', 2 ** 40), 'x-overflow': 'drop-head' },
  { 'x-dead-letter-exchange': 'no such exchange', 'x-dead-letter-routing-key': 'k' },
  { 'x-single-active-consumer': true },
  { 'x-expires': typed('b', 100) },
  { 'x-note': 'what nobody knows is ignored', 'x-list': [1, { two: 2 }] },
  { ...quorum, 'x-message-ttl': 1000, 'x-expires': 60_000, 'x-delivery-limit': 20 },
  { ...quorum, 'x-single-active-consumer': true, 'x-quorum-initial-group-size': 1 },
  { ...quorum, 'x-max-length': 5, 'x-overflow': 'reject-publish', 'x-dead-letter-exchange': '' },
  { ...stream, 'x-max-age': '1h', 'x-max-length-bytes': 1_000_000, 'x-stream-max-segment-size-bytes': 100_000 },
  { ...stream, 'x-max-age': '30s' },
  { ...stream, 'x-max-age': '7D' },
])('%j is accepted, and again', async args => {
  const peer = await openPeer();
  const queue = uniqueName('accepted');
  await peer.call(1, 'queue.declare', { queue, durable: true, arguments: args });
  removeAfterTest({ queues: [queue] });
  const ok = await peer.call(1, 'queue.declare', { queue, durable: true, arguments: args });
  expect(ok).toEqual({ queue, messageCount: 0, consumerCount: 0 });
});

describe('declared again with something else: 406', () => {
  const received = (value: string, type: string): string =>
    `received the value '${value}' of type '${type}' but current is none`;
  test.for<[Table, Table, string, string]>([
    [{}, { 'x-message-ttl': 1000 }, 'x-message-ttl', received('1000', 'signedint')],
    [
      { 'x-message-ttl': 2000 },
      {},
      'x-message-ttl',
      "received none but current is the value '2000' of type 'signedint'",
    ],
    [{ 'x-message-ttl': 2000 }, { 'x-message-ttl': 1000 }, 'x-message-ttl', "received '1000' but current is '2000'"],
    [{}, { 'x-expires': 60_000 }, 'x-expires', received('60000', 'signedint')],
    [{}, { 'x-dead-letter-exchange': 'x' }, 'x-dead-letter-exchange', received('x', 'longstr')],
    [
      { 'x-dead-letter-exchange': 'x' },
      { 'x-dead-letter-exchange': 'x', 'x-dead-letter-routing-key': 'k' },
      'x-dead-letter-routing-key',
      received('k', 'longstr'),
    ],
    [{}, { 'x-max-length': 5 }, 'x-max-length', received('5', 'signedint')],
    [{}, { 'x-max-length-bytes': 5 }, 'x-max-length-bytes', received('5', 'signedint')],
    [{}, { 'x-overflow': 'drop-head' }, 'x-overflow', received('drop-head', 'longstr')],
    [{}, { 'x-single-active-consumer': false }, 'x-single-active-consumer', received('false', 'bool')],
    [quorum, { ...quorum, 'x-delivery-limit': 4 }, 'x-delivery-limit', received('4', 'signedint')],
    [stream, { ...stream, 'x-max-age': '1h' }, 'x-max-age', received('1h', 'longstr')],
    [
      stream,
      { ...stream, 'x-stream-max-segment-size-bytes': 1000 },
      'x-stream-max-segment-size-bytes',
      received('1000', 'signedint'),
    ],
  ])('%j, then %j', async ([first, then, name, difference]) => {
    const peer = await openPeer();
    const queue = uniqueName('again');
    await peer.call(1, 'queue.declare', { queue, durable: true, arguments: first });
    removeAfterTest({ queues: [queue] });
    expect(await peer.refused(1, 'queue.declare', { queue, durable: true, arguments: then })).toEqual({
      scope: 'channel',
      code: 406,
      text: `PRECONDITION_FAILED - inequivalent arg '${name}' for queue '${queue}' in vhost '${vhost}': ${difference}`,
      method: 'queue.declare',
    });
  });

  test.for<[Table, Table, typeof queueTypeAdded]>([
    [{}, quorum, queueTypeAdded],
    [stream, {}, queueTypeRemoved],
  ])('another type of queue: %j, then %j', async ([first, then, known]) => {
    const peer = await openPeer();
    const queue = uniqueName('again');
    await peer.call(1, 'queue.declare', { queue, durable: true, arguments: first });
    removeAfterTest({ queues: [queue] });
    const { code, text } = await peer.refused(1, 'queue.declare', { queue, durable: true, arguments: then });
    const wording = await asKnown(known);
    expect(code).toBe(406);
    expect(text).toBe(
      `PRECONDITION_FAILED - inequivalent arg 'x-queue-type' for queue '${queue}' in vhost '${vhost}': ${wording}`,
    );
  });

  test.for<[string, Fields, string]>([
    ['durable', { durable: false, autoDelete: false }, "'durable' … received 'false' but current is 'true'"],
    ['auto-delete', { durable: true, autoDelete: true }, "'auto_delete' … received 'true' but current is 'false'"],
  ])('%s or not', async ([, then, difference]) => {
    const peer = await openPeer();
    const queue = uniqueName('again');
    await peer.call(1, 'queue.declare', { queue, durable: true });
    removeAfterTest({ queues: [queue] });
    const where = `for queue '${queue}' in vhost '${vhost}':`;
    const text = `PRECONDITION_FAILED - inequivalent arg ${difference.replace('…', where)}`;
    const refusal = await peer.refused(1, 'queue.declare', { queue, ...then });
    expect(refusal).toEqual({ scope: 'channel', code: 406, text, method: 'queue.declare' });
  });

  test('an exclusive queue is never durable, so durable or not is the same', async () => {
    const peer = await openPeer();
    const queue = uniqueName('again');
    for (const durable of [true, false]) await peer.call(1, 'queue.declare', { queue, exclusive: true, durable });
  });

  test('exclusive or not: 405', async () => {
    const peer = await openPeer();
    const queue = uniqueName('again');
    await peer.call(1, 'queue.declare', { queue, exclusive: true });
    expect(await peer.refused(1, 'queue.declare', { queue })).toMatchObject({ code: 405, scope: 'channel' });
  });

  test('the same number in another integer type is the same', async () => {
    const peer = await openPeer();
    const queue = uniqueName('again');
    for (const tag of ['I', 'l', 's', 'i'])
      await peer.call(1, 'queue.declare', {
        queue,
        exclusive: true,
        arguments: { 'x-message-ttl': typed(tag, 1000) },
      });
  });

  test('classic said or not said is the same, and so are arguments that nobody knows', async () => {
    const peer = await openPeer();
    const queue = uniqueName('again');
    for (const args of [{}, { 'x-queue-type': 'classic' }, { 'x-note': 1 }, { 'x-note': 2 }])
      await peer.call(1, 'queue.declare', { queue, exclusive: true, arguments: args });
  });
});
