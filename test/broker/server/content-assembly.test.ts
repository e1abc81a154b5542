import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { joined, partsOf } from '../../../services/broker/amqp/body.ts';
import { pushContent } from '../../../services/broker/amqp/content.ts';
import type { Publish } from '../../../services/broker/amqp/decode-method.ts';
import { frameType } from '../../../services/broker/amqp/frame.ts';
import { FrameParser } from '../../../services/broker/amqp/frame-parser.ts';
import { encodeProperties } from '../../../services/broker/amqp/properties.ts';
import { ContentAssembly, type WholePublish } from '../../../services/broker/server/content-assembly.ts';

const frameMax = 8192;
const method = { name: 'basic.publish' } as Publish;
const deliver = { name: 'basic.deliver', consumerTag: '', deliveryTag: 1, redelivered: false } as const;

/** The content as it goes over a socket, without its method frame. */
function octetsOf(body: Buffer): Buffer {
  const out: Buffer[] = [];
  const content = { properties: encodeProperties({}), body };
  pushContent(out, 1, { ...deliver, exchange: '', routingKey: '' }, content, frameMax);
  const octets = Buffer.concat(out);
  return octets.subarray(octets.readUInt32BE(3) + 8);
}

/** What is made of content that arrives in these chunks. */
function assemble(chunks: readonly Buffer[]): WholePublish[] {
  const parser = new FrameParser(frameMax);
  const assembly = new ContentAssembly();
  const published: WholePublish[] = [];
  for (const chunk of chunks) {
    parser.push(chunk);
    while (parser.next()) {
      if (parser.type === frameType.header) assembly.begin(method);
      const whole =
        parser.type === frameType.header
          ? assembly.header(parser.bytes, parser.start, parser.end)
          : assembly.body(parser.body);
      if (whole) published.push(whole);
    }
  }
  return published;
}

function cutAt(octets: Buffer, cuts: readonly number[]): Buffer[] {
  const places = [0, ...cuts.map(cut => cut % octets.length).sort((a, b) => a - b), octets.length];
  return places.slice(1).map((place, index) => octets.subarray(places[index], place));
}

function patterned(length: number): Buffer {
  const body = Buffer.alloc(length);
  for (let i = 0; i < length; i++) body[i] = (i * 7 + (i >> 8)) & 0xff;
  return body;
}

describe('a body', () => {
  test('is the same, in whatever chunks its frames arrive and leave', () => {
    fc.assert(
      fc.property(
        fc.array(fc.nat(5 * frameMax), { minLength: 1, maxLength: 4 }),
        fc.array(fc.nat(), { maxLength: 40 }),
        (lengths, cuts) => {
          const bodies = lengths.map(patterned);
          const [first, ...rest] = [assemble(cutAt(Buffer.concat(bodies.map(octetsOf)), cuts))];
          expect(rest).toEqual([]);
          expect(first?.map(({ body }) => joined(body))).toEqual(bodies);
          // Sent on as it lies, it is the same content again.
          const again = (first ?? []).flatMap(({ properties, body }) => {
            const out: Buffer[] = [];
            const size = pushContent(
              out,
              1,
              { ...deliver, exchange: '', routingKey: '' },
              { properties, body },
              frameMax,
            );
            const octets = Buffer.concat(out);
            expect(octets.length).toBe(size);
            return [octets.subarray(octets.readUInt32BE(3) + 8)];
          });
          expect(Buffer.concat(again).equals(Buffer.concat(bodies.map(octetsOf)))).toBe(true);
        },
      ),
      { numRuns: 300 },
    );
  });

  test('that spans two chunks is not copied', () => {
    const octets = octetsOf(patterned(6_000));
    const chunks = cutAt(octets, [3_000]).map(chunk => Buffer.from(chunk));
    const [whole] = assemble(chunks);
    const parts = whole ? partsOf(whole.body) : [];
    expect(parts.map(({ buffer }) => buffer)).toEqual(chunks.map(({ buffer }) => buffer));
  });

  test('that comes octet by octet, in frames or in segments, does not cost a buffer for each', () => {
    const octets = octetsOf(patterned(20_000));
    const [bySegment] = assemble([...octets].map(octet => Buffer.of(octet)));
    expect(bySegment && partsOf(bySegment.body).length).toBeLessThan(10);

    const header = octets.subarray(0, octets.indexOf(0xce) + 1);
    const frame = (octet: number): Buffer => Buffer.from([3, 0, 1, 0, 0, 0, 1, octet, 0xce]);
    const [byFrame] = assemble([header, Buffer.concat([...patterned(20_000)].map(frame))]);
    expect(byFrame && joined(byFrame.body).equals(patterned(20_000))).toBe(true);
    expect(byFrame && partsOf(byFrame.body).length).toBeLessThan(4);
  });

  test('of nothing is whole with its header', () => {
    const [whole] = assemble([octetsOf(Buffer.alloc(0))]);
    expect(whole?.body.length).toBe(0);
  });
});
