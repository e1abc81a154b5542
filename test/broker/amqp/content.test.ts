import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { deliveryPrefix, encodeRoute, pushContent, pushDelivery } from '../../../services/broker/amqp/content.ts';
import { decodeHeader } from '../../../services/broker/amqp/content-header.ts';
import { decodeMethod } from '../../../services/broker/amqp/decode-method.ts';
import { FrameParser } from '../../../services/broker/amqp/frame-parser.ts';
import { encodeProperties } from '../../../services/broker/amqp/properties.ts';
import { properties as anyProperties, shortText } from './arbitrary.ts';

const frameMax = 4096;

interface Received {
  readonly channels: readonly number[];
  readonly method: unknown;
  readonly properties: Buffer;
  readonly body: Buffer;
}

/** What a consumer makes of it: method, header, and bodies that together are as large as announced. */
function receive(octets: Buffer): Received {
  const parser = new FrameParser(frameMax);
  parser.push(octets);
  const next = (type: number): Buffer => {
    expect(parser.next()).toBe(true);
    expect(parser.type).toBe(type);
    expect(parser.payload.length).toBeLessThanOrEqual(frameMax - 8);
    channels.push(parser.channel);
    return parser.payload;
  };
  const channels: number[] = [];
  const method = decodeMethod(next(1));
  const { bodySize, properties } = decodeHeader(next(2));
  const bodies: Buffer[] = [];
  for (let left = bodySize; left > 0; ) {
    const body = next(3);
    bodies.push(body);
    left -= body.length;
  }
  expect(parser.next()).toBe(false);
  return { channels, method, properties, body: Buffer.concat(bodies) };
}

const message = fc.record({
  channel: fc.integer({ min: 1, max: 0xffff }),
  exchange: shortText,
  routingKey: shortText,
  deliveryTag: fc.maxSafeNat(),
  redelivered: fc.boolean(),
  properties: anyProperties.map(encodeProperties),
  body: fc
    .oneof(fc.nat(40), fc.nat(3 * frameMax), fc.constantFrom(2047, 2048, 2049, 4087, 4088, 4089, 8176, 8177))
    .map(length => Buffer.alloc(length, 'body')),
});

describe('content', () => {
  test('is delivered as it was published, in frames that fit', () => {
    fc.assert(
      fc.property(message, shortText, ({ channel, properties, body, ...fields }, consumerTag) => {
        const { exchange, routingKey, deliveryTag, redelivered } = fields;
        const out = [Buffer.from('before')];
        const prefix = deliveryPrefix(channel, consumerTag);
        const before = Buffer.from(prefix);
        const content = { route: encodeRoute(exchange, routingKey), properties, body };
        const octets = pushDelivery(out, prefix, deliveryTag, redelivered, content, frameMax);
        const sent = Buffer.concat(out.slice(1));
        expect(octets).toBe(sent.length);
        expect(prefix).toEqual(before);
        const received = receive(sent);
        expect(received.method).toEqual({ name: 'basic.deliver', consumerTag, ...fields });
        expect(received.properties).toEqual(properties);
        expect(received.body.equals(body)).toBe(true);
        expect(new Set(received.channels)).toEqual(new Set([channel]));
      }),
      { numRuns: 300 },
    );
  });

  test('is got and returned as it was published', () => {
    fc.assert(
      fc.property(message, fc.nat(), ({ channel, properties, body, ...fields }, messageCount) => {
        const { exchange, routingKey } = fields;
        const methods = [
          { name: 'basic.get-ok', ...fields, messageCount },
          { name: 'basic.return', replyCode: 312, replyText: 'NO_ROUTE', exchange, routingKey },
        ] as const;
        for (const method of methods) {
          const out: Buffer[] = [];
          const octets = pushContent(out, channel, method, { properties, body }, frameMax);
          const sent = Buffer.concat(out);
          expect(octets).toBe(sent.length);
          const received = receive(sent);
          expect(received.method).toEqual(method);
          expect(received.properties).toEqual(properties);
          expect(received.body.equals(body)).toBe(true);
        }
      }),
    );
  });

  test('that is small is one buffer, and large is not copied', () => {
    const sizes = [0, 1, 2048, 2049, 100_000].map(size => {
      const body = Buffer.alloc(size);
      const out: Buffer[] = [];
      const content = { route: encodeRoute('', 'q'), properties: Buffer.alloc(2), body };
      pushDelivery(out, deliveryPrefix(1, 'c'), 1, false, content, 40_008);
      const views = out.filter(each => each.buffer === body.buffer).length;
      return [size, out.length, size > 2048 ? views : 0];
    });
    expect(sizes).toEqual([
      [0, 1, 0],
      [1, 1, 0],
      [2048, 1, 0],
      [2049, 3, 1],
      [100_000, 7, 3],
    ]);
  });
});
