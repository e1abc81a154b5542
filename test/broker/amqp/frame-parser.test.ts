import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { AmqpError } from '../../../services/broker/amqp/error.ts';
import { writeFrameHead } from '../../../services/broker/amqp/frame.ts';
import { FrameParser } from '../../../services/broker/amqp/frame-parser.ts';
import { judgeProtocolHeader, protocolHeader } from '../../../services/broker/amqp/protocol-header.ts';
import { garbageLike } from './arbitrary.ts';

const frameMax = 4096;

interface Frame {
  readonly type: number;
  readonly channel: number;
  readonly payload: Buffer;
}

function octetsOf({ type, channel, payload }: Frame, size = payload.length, end = 0xce): Buffer {
  const head = Buffer.alloc(7);
  writeFrameHead(head, 0, type, channel, size);
  return Buffer.concat([head, payload, Buffer.of(end)]);
}

/** All frames that are there now. */
function read(parser: FrameParser): Frame[] {
  const frames: Frame[] = [];
  while (parser.next()) frames.push({ type: parser.type, channel: parser.channel, payload: parser.payload });
  return frames;
}

function readAll(chunks: readonly Buffer[]): Frame[] {
  const parser = new FrameParser(frameMax);
  return chunks.flatMap(chunk => {
    parser.push(chunk);
    return read(parser);
  });
}

const payload = (minLength: number): fc.Arbitrary<Buffer> =>
  fc.oneof(
    fc.uint8Array({ minLength, maxLength: 40 }).map(each => Buffer.from(each)),
    fc.integer({ min: minLength, max: frameMax }).map(length => Buffer.alloc(length, 0xce)),
  );

const channel = fc.integer({ min: 1, max: 0xffff });

const frame: fc.Arbitrary<Frame> = fc.oneof(
  fc.record({ type: fc.constant(1), channel: fc.nat(0xffff), payload: payload(4) }),
  fc.record({ type: fc.constant(2), channel, payload: payload(12) }),
  fc.record({ type: fc.constant(3), channel, payload: payload(0) }),
  fc.constant({ type: 8, channel: 0, payload: Buffer.alloc(0) }),
);

/** The same octets in pieces; of none, too. */
const split = (octets: Buffer): fc.Arbitrary<Buffer[]> =>
  fc.array(fc.nat(octets.length), { maxLength: 12 }).map(cuts => {
    const places = [0, ...cuts.sort((a, b) => a - b), octets.length];
    return places.slice(1).map((place, index) => octets.subarray(places[index], place));
  });

describe('frames', () => {
  test('are the same, in whatever pieces they arrive', () => {
    const streams = fc
      .array(frame, { maxLength: 6 })
      .chain(frames =>
        fc.record({ frames: fc.constant(frames), chunks: split(Buffer.concat(frames.map(each => octetsOf(each)))) }),
      );
    fc.assert(
      fc.property(streams, ({ frames, chunks }) => {
        expect(readAll(chunks)).toEqual(frames);
      }),
      { numRuns: 500 },
    );
  });

  test('are the same octet by octet', () => {
    const frames = [
      { type: 1, channel: 1, payload: Buffer.from('method') },
      { type: 8, channel: 0, payload: Buffer.alloc(0) },
      { type: 3, channel: 2, payload: Buffer.alloc(0) },
    ];
    const stream = Buffer.concat(frames.map(each => octetsOf(each)));
    expect(readAll([...stream].map(octet => Buffer.of(octet)))).toEqual(frames);
  });

  test('within one chunk are views of it', () => {
    const parser = new FrameParser(frameMax);
    const chunk = octetsOf({ type: 3, channel: 1, payload: Buffer.from('body') });
    parser.push(chunk);
    expect(parser.next()).toBe(true);
    expect(parser.bytes).toBe(chunk);
    expect(parser.payload.buffer).toBe(chunk.buffer);
    expect(parser.next()).toBe(false);
    expect(parser.bytes).not.toBe(chunk);
  });

  test('can be left unread while more arrive', () => {
    const parser = new FrameParser(frameMax);
    const one = { type: 3, channel: 1, payload: Buffer.from('one') };
    const two = { type: 3, channel: 1, payload: Buffer.from('two') };
    parser.push(Buffer.concat([octetsOf(one), octetsOf(one)]));
    expect(parser.next()).toBe(true);
    parser.push(octetsOf(two));
    expect(read(parser)).toEqual([one, two]);
  });

  test('may be larger from the moment that more was negotiated', () => {
    const parser = new FrameParser(frameMax);
    const large = { type: 3, channel: 1, payload: Buffer.alloc(2 * frameMax) };
    parser.push(Buffer.concat([octetsOf({ type: 3, channel: 1, payload: Buffer.alloc(1) }), octetsOf(large)]));
    expect(parser.next()).toBe(true);
    parser.frameMax = 131_072;
    expect(read(parser)).toEqual([large]);
  });
});

describe('is refused as by RabbitMQ', () => {
  const method = { type: 1, channel: 1, payload: Buffer.from('00140028', 'hex') };

  test.each<[string, Buffer, number, string]>([
    [
      'a frame larger than negotiated, at its head',
      octetsOf({ type: 3, channel: 1, payload: Buffer.alloc(0) }, frameMax + 1).subarray(0, 7),
      501,
      'FRAME_ERROR - type 3, all octets = <<>>: {frame_too_large,4097,4088}',
    ],
    [
      'a frame of 2^32-1 octets',
      octetsOf({ type: 1, channel: 1, payload: Buffer.alloc(0) }, 0xffff_ffff),
      501,
      'FRAME_ERROR - type 1, all octets = <<>>: {frame_too_large,4294967295,4088}',
    ],
    [
      'a frame that does not end where it should',
      octetsOf(method, 4, 0xcd),
      501,
      'FRAME_ERROR - type 1, all octets = <<0,20,0,40>>: {invalid_frame_end_marker,205}',
    ],
    [
      'a frame of unknown type',
      octetsOf({ type: 9, channel: 1, payload: Buffer.alloc(17) }),
      501,
      'FRAME_ERROR - type 9, first 16 octets = <<0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0>>: unknown_frame',
    ],
    [
      'a method without its numbers',
      octetsOf({ ...method, payload: Buffer.of(0, 60, 0) }),
      501,
      'FRAME_ERROR - type 1, all octets = <<0,60,0>>: unknown_frame',
    ],
    [
      'a content header too short',
      octetsOf({ ...method, type: 2 }),
      501,
      'FRAME_ERROR - type 2, all octets = <<0,20,0,40>>: unknown_frame',
    ],
    [
      'a heartbeat with a payload',
      octetsOf({ type: 8, channel: 0, payload: Buffer.from('x') }),
      501,
      'FRAME_ERROR - type 8, all octets = <<120>>: unknown_frame',
    ],
    [
      'a heartbeat on a channel',
      octetsOf({ type: 8, channel: 1, payload: Buffer.alloc(0) }),
      505,
      'UNEXPECTED_FRAME - type 8, all octets = <<>>',
    ],
    [
      'content on no channel',
      octetsOf({ type: 3, channel: 0, payload: Buffer.alloc(0) }),
      505,
      'UNEXPECTED_FRAME - type 3, all octets = <<>>',
    ],
  ])('%s', (_, octets, code, text) => {
    for (const chunks of [[octets], [...octets].map(octet => Buffer.of(octet))]) {
      expect(() => readAll(chunks)).toThrow(expect.objectContaining({ code, text }));
    }
  });

  test('a frame of the wrong kind alone: those behind it are read', () => {
    const parser = new FrameParser(frameMax);
    parser.push(Buffer.concat([octetsOf({ ...method, type: 9 }), octetsOf(method)]));
    expect(() => parser.next()).toThrow(AmqpError);
    expect(read(parser)).toEqual([method]);
  });

  test('a broken frame for good: nothing behind it is read', () => {
    const parser = new FrameParser(frameMax);
    parser.push(Buffer.concat([octetsOf(method, 4, 0), octetsOf(method)]));
    expect(() => parser.next()).toThrow(AmqpError);
    expect(read(parser)).toEqual([]);
    parser.push(octetsOf(method));
    expect(read(parser)).toEqual([]);
  });
});

test('garbage gives frames or an AMQP error, and an end', () => {
  const stream = fc.array(frame, { maxLength: 4 }).map(frames => Buffer.concat(frames.map(each => octetsOf(each))));
  fc.assert(
    fc.property(garbageLike(stream).chain(split), chunks => {
      const parser = new FrameParser(frameMax);
      let steps = 0;
      for (const chunk of chunks) {
        parser.push(chunk);
        for (let isMore = true; isMore; steps += 1) {
          try {
            isMore = parser.next();
          } catch (error) {
            if (!(error instanceof AmqpError)) throw error;
          }
          if (isMore) expect(parser.end - parser.start).toBeLessThanOrEqual(frameMax);
        }
      }
      const octets = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
      // Each step eats a frame of at least 8 octets, says that there is no more, or that all is lost.
      expect(steps).toBeLessThanOrEqual(octets / 8 + chunks.length + 1);
    }),
    { numRuns: 2000 },
  );
});

test('a frame that is announced and never ends takes no more memory than a frame', () => {
  const announced = octetsOf({ type: 3, channel: 1, payload: Buffer.alloc(0) }, 131_072).subarray(0, 7);
  const piece = Buffer.alloc(1000);
  const parsers = Array.from({ length: 200 }, () => new FrameParser(131_072));
  const before = process.memoryUsage().arrayBuffers;
  for (const parser of parsers) {
    for (const chunk of [announced, ...Array<Buffer>(100).fill(piece)]) {
      parser.push(chunk);
      expect(parser.next()).toBe(false);
    }
  }
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(parsers.length * 1.1 * 131_072);
});

describe('a connection', () => {
  test('that begins with AMQP 0-9-1 is accepted, once all of the header is there', () => {
    for (let length = 0; length < 8; length += 1) {
      expect(judgeProtocolHeader(protocolHeader.subarray(0, length))).toBe('incomplete');
    }
    expect(judgeProtocolHeader(Buffer.concat([protocolHeader, Buffer.from('frames')]))).toBe('accepted');
  });

  test.each([
    'AMQP\x00\x01\x00\x00',
    'AMQP\x03\x01\x00\x00',
    'AMQP\x01\x01\x08\x00',
    'GET / HTTP/1.1',
    'x',
    '\x16\x03\x01',
  ])('that begins with %j is refused', text =>
    expect(judgeProtocolHeader(Buffer.from(text, 'latin1'))).toBe('refused'),
  );

  test('that begins with 0-9, as RabbitMQ lets it, is accepted', () => {
    expect(judgeProtocolHeader(Buffer.from('AMQP\x01\x01\x00\x09', 'latin1'))).toBe('accepted');
  });
});
