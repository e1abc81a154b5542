import fc from 'fast-check';
import { describe, expect, test, vi } from 'vitest';
import { brokerUrl } from '../support/broker.ts';
import { encodeFrame, encodeMethod, frameType } from './wire/codec.ts';
import { login } from './wire/handshake.ts';
import type { MethodName } from './wire/methods.ts';
import type { Peer, Refusal } from './wire/peer.ts';
import { encodeHeader, encodeProperties } from './wire/properties.ts';

// After a frame error RabbitMQ waits 3 s before it closes the socket, so these run side by side.
vi.setConfig({ maxConcurrency: 60 });

const frameMax = 8192;
const noProperties = encodeProperties({});

/** A raw connection with channel 1 open. */
async function opened(): Promise<Peer> {
  const peer = await login(brokerUrl(), { frameMax });
  await peer.openChannel(1);
  return peer;
}

function beginPublish(peer: Peer, bodySize: number): void {
  peer.send(1, 'basic.publish', { routingKey: 'nobody' });
  peer.sendFrame(frameType.header, 1, encodeHeader(bodySize, noProperties));
}

interface Violation {
  /** Continues "a client that sends …". */
  readonly sends: string;
  readonly act: (peer: Peer) => void;
  readonly code: number;
  /** Whole, or its beginning where it ends in `…`. */
  readonly text: string;
  readonly method: Refusal['method'];
}

const violations: readonly Violation[] = [
  {
    sends: 'a frame without its end octet',
    act: peer => {
      const frame = encodeFrame(frameType.method, 1, encodeMethod('queue.declare', { exclusive: true }));
      frame[frame.length - 1] = 0;
      peer.sendBytes(frame);
    },
    code: 501,
    text: 'FRAME_ERROR - …',
    method: 'none',
  },
  {
    // RabbitMQ lets 8 bytes more than the negotiated size pass.
    sends: 'a frame larger than frame_max',
    act: peer => {
      beginPublish(peer, 2 * frameMax);
      peer.sendFrame(frameType.body, 1, Buffer.alloc(frameMax + 1));
    },
    code: 501,
    text: 'FRAME_ERROR - …',
    method: 'none',
  },
  {
    sends: 'a frame that claims to hold 4 GiB',
    act: peer => peer.sendBytes(Buffer.from('010001ffffffff', 'hex')),
    code: 501,
    text: 'FRAME_ERROR - …',
    method: 'none',
  },
  {
    sends: 'text where a frame should be',
    act: peer => peer.sendBytes(Buffer.from('GET / HTTP/1.1\r\nHost: broker\r\n\r\n')),
    code: 501,
    text: 'FRAME_ERROR - …',
    method: 'none',
  },
  {
    sends: 'a frame of an unknown type',
    act: peer => peer.sendFrame(4, 1, Buffer.alloc(4)),
    code: 501,
    text: 'FRAME_ERROR - …',
    method: 'none',
  },
  {
    sends: 'a heartbeat that holds something',
    act: peer => peer.sendFrame(frameType.heartbeat, 0, Buffer.from('beat')),
    code: 501,
    text: 'FRAME_ERROR - …',
    method: 'none',
  },
  {
    sends: 'a heartbeat on a channel',
    act: peer => peer.sendFrame(frameType.heartbeat, 1, Buffer.alloc(0)),
    code: 505,
    text: 'UNEXPECTED_FRAME - …',
    method: 'none',
  },
  {
    sends: 'an empty method frame',
    act: peer => peer.sendFrame(frameType.method, 1, Buffer.alloc(0)),
    code: 501,
    text: 'FRAME_ERROR - …',
    method: 'none',
  },
  {
    sends: 'a method that is cut short',
    act: peer => peer.sendFrame(frameType.method, 1, encodeMethod('queue.declare', { queue: 'abcdef' }).subarray(0, 9)),
    code: 501,
    text: 'FRAME_ERROR - …',
    method: 'queue.declare',
  },
  {
    sends: 'a method with bytes too many',
    act: peer =>
      peer.sendFrame(frameType.method, 1, Buffer.concat([encodeMethod('basic.qos'), Buffer.from('surplus')])),
    code: 501,
    text: 'FRAME_ERROR - …',
    method: 'basic.qos',
  },
  {
    sends: 'a table that claims to be longer than its method',
    act: peer => peer.send(1, 'queue.declare', { arguments: Buffer.from('0000090401615a00', 'hex') }),
    code: 501,
    text: 'FRAME_ERROR - …',
    method: 'queue.declare',
  },
  {
    sends: 'a content header that is cut short',
    act: peer => {
      peer.send(1, 'basic.publish');
      peer.sendFrame(frameType.header, 1, Buffer.from('003c00', 'hex'));
    },
    code: 501,
    text: 'FRAME_ERROR - …',
    method: 'none',
  },
  {
    sends: 'a channel method on channel 0',
    act: peer => peer.send(0, 'queue.declare', { exclusive: true }),
    code: 504,
    text: 'CHANNEL_ERROR - unexpected method in connection state running',
    method: 'queue.declare',
  },
  {
    sends: 'connection.start-ok a second time',
    act: peer => peer.send(0, 'connection.start-ok', { mechanism: 'PLAIN', response: '\0a\0b', locale: 'en_US' }),
    code: 504,
    text: 'CHANNEL_ERROR - unexpected method in connection state running',
    method: 'connection.start-ok',
  },
  {
    sends: 'connection.open a second time',
    act: peer => peer.send(0, 'connection.open', { vhost: '/' }),
    code: 504,
    text: 'CHANNEL_ERROR - unexpected method in connection state running',
    method: 'connection.open',
  },
  {
    sends: 'a connection method on a channel',
    act: peer => peer.send(1, 'connection.close', { code: 200 }),
    code: 503,
    text: 'COMMAND_INVALID - unimplemented method',
    method: 'connection.close',
  },
  {
    sends: 'a method that only servers send',
    act: peer => peer.send(1, 'queue.declare-ok', { queue: 'q' }),
    code: 503,
    text: 'COMMAND_INVALID - unimplemented method',
    method: 'queue.declare-ok',
  },
  {
    sends: 'a method on a channel that is not open',
    act: peer => peer.send(5, 'queue.declare', { exclusive: true }),
    code: 504,
    text: "CHANNEL_ERROR - expected 'channel.open'",
    method: 'queue.declare',
  },
  {
    sends: 'channel.close for a channel that is not open',
    act: peer => peer.send(5, 'channel.close', { code: 200 }),
    code: 504,
    text: "CHANNEL_ERROR - expected 'channel.open'",
    method: 'channel.close',
  },
  {
    sends: 'channel.open twice',
    act: peer => peer.send(1, 'channel.open'),
    code: 504,
    text: "CHANNEL_ERROR - second 'channel.open' seen",
    method: 'channel.open',
  },
  {
    sends: 'a content header that no publish announced',
    act: peer => peer.sendFrame(frameType.header, 1, encodeHeader(1, noProperties)),
    code: 505,
    text: 'UNEXPECTED_FRAME - expected method frame, got non method frame instead',
    method: 'none',
  },
  {
    sends: 'a body that no publish announced',
    act: peer => peer.sendFrame(frameType.body, 1, Buffer.from('body')),
    code: 505,
    text: 'UNEXPECTED_FRAME - expected method frame, got non method frame instead',
    method: 'none',
  },
  {
    sends: 'a body on a channel that is not open',
    act: peer => peer.sendFrame(frameType.body, 5, Buffer.from('body')),
    code: 505,
    text: 'UNEXPECTED_FRAME - expected method frame, got non method frame instead',
    method: 'none',
  },
  {
    sends: 'a body without its content header',
    act: peer => {
      peer.send(1, 'basic.publish');
      peer.sendFrame(frameType.body, 1, Buffer.from('body'));
    },
    code: 505,
    text: 'UNEXPECTED_FRAME - expected content header for class 60, got non content header frame instead',
    method: 'basic.publish',
  },
  {
    sends: 'a method where a content header should be',
    act: peer => {
      peer.send(1, 'basic.publish');
      peer.send(1, 'queue.declare', { exclusive: true });
    },
    code: 505,
    text: 'UNEXPECTED_FRAME - expected content header for class 60, got non content header frame instead',
    method: 'basic.publish',
  },
  {
    sends: 'a content header of another class',
    act: peer => {
      peer.send(1, 'basic.publish');
      peer.sendFrame(frameType.header, 1, encodeHeader(1, noProperties, 50));
    },
    code: 505,
    text: 'UNEXPECTED_FRAME - expected content header for class 60, got one for class 50 instead',
    method: 'basic.publish',
  },
  {
    sends: 'a method inside a body',
    act: peer => {
      beginPublish(peer, 5);
      peer.sendFrame(frameType.body, 1, Buffer.from('two'));
      peer.send(1, 'queue.declare', { exclusive: true });
    },
    code: 505,
    text: 'UNEXPECTED_FRAME - expected content body, got non content body frame instead',
    method: 'basic.publish',
  },
  {
    // RabbitMQ sees it at the frame after; at once is as good.
    sends: 'a longer body than its header said',
    act: peer => {
      beginPublish(peer, 3);
      peer.sendFrame(frameType.body, 1, Buffer.from('four'));
      peer.send(1, 'queue.declare', { exclusive: true });
    },
    code: 505,
    text: 'UNEXPECTED_FRAME - …',
    method: 'basic.publish',
  },
  {
    sends: 'a body frame after an empty body',
    act: peer => {
      beginPublish(peer, 0);
      peer.sendFrame(frameType.body, 1, Buffer.from('more'));
    },
    code: 505,
    text: 'UNEXPECTED_FRAME - expected method frame, got non method frame instead',
    method: 'none',
  },
];

describe.concurrent('a client that sends', () => {
  test.for(violations)('$sends is told $code and disconnected', async ({ act, code, text, method }) => {
    using peer = await opened();
    act(peer);
    const wording = text.endsWith('…') ? expect.stringContaining(text.slice(0, -1)) : text;
    expect(await peer.refusal()).toEqual({ scope: 'connection', code, text: wording, method });
    await peer.closed();
  });

  /** RabbitMQ drops these, or calls them its own fault (541); a close that says more is welcome. */
  test.for<[string, (peer: Peer) => void]>([
    ['a method of an unknown number', peer => peer.sendFrame(frameType.method, 1, Buffer.from('003c03e7', 'hex'))],
    ['a method of an unknown class', peer => peer.sendFrame(frameType.method, 1, Buffer.from('033c000a', 'hex'))],
    [
      'a table with a value of an unknown type',
      peer => peer.send(1, 'queue.declare', { arguments: Buffer.from('0000000401615a00', 'hex') }),
    ],
    [
      'a content header whose properties are cut short',
      peer => {
        peer.send(1, 'basic.publish');
        peer.sendFrame(frameType.header, 1, encodeHeader(0, Buffer.from('800009', 'hex')));
      },
    ],
  ])('%s is disconnected', async ([, act]) => {
    using peer = await opened();
    act(peer);
    const ending = await peer.ending();
    if (ending !== 'dropped') expect([501, 502, 503, 540, 541]).toContain(ending.code);
  });
});

test('whatever clients send, each is disconnected when it hangs up, and the broker serves the next one', async () => {
  const seed = Date.now() % 2 ** 31;
  const bytes = fc.uint8Array({ maxLength: 200 }).map(each => Buffer.from(each));
  const channel = fc.constantFrom(0, 1, 2, 65_535);
  const methods = fc.constantFrom<MethodName>('basic.qos', 'basic.publish', 'basic.ack', 'basic.get', 'basic.cancel');
  const garbage = fc.oneof(
    bytes,
    fc
      .tuple(fc.integer({ min: 0, max: 9 }), channel, bytes)
      .map(([type, on, payload]) => encodeFrame(type, on, payload)),
    // A frame that was good until one of its bytes changed.
    fc.tuple(methods, channel, fc.nat(), fc.nat(255)).map(([name, on, place, byte]) => {
      const frame = encodeFrame(frameType.method, on, encodeMethod(name));
      frame[place % frame.length] = byte;
      return frame;
    }),
    fc
      .tuple(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), bytes)
      .map(([size, properties]) =>
        Buffer.concat([
          encodeFrame(frameType.method, 1, encodeMethod('basic.publish')),
          encodeFrame(frameType.header, 1, encodeHeader(size, properties)),
        ]),
      ),
  );
  const clients = fc.sample(fc.array(garbage, { minLength: 1, maxLength: 8 }), { numRuns: 150, seed });
  const ends = clients.map(async pieces => {
    using peer = await opened();
    for (const piece of pieces) peer.sendBytes(piece);
    peer.socket.end();
    await peer.closed();
  });
  const failed = (await Promise.allSettled(ends)).flatMap((end, i) => (end.status === 'rejected' ? [i] : []));
  expect(failed, `clients that are still connected, seed ${seed}`).toEqual([]);
  using next = await opened();
  await next.call(1, 'queue.declare', { exclusive: true });
}, 60_000);
