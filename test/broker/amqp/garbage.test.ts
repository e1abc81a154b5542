import fc from 'fast-check';
import { expect, test } from 'vitest';
import { pushContent } from '../../../services/broker/amqp/content.ts';
import { decodeHeader } from '../../../services/broker/amqp/content-header.ts';
import { decodeMethod } from '../../../services/broker/amqp/decode-method.ts';
import { withHeaders } from '../../../services/broker/amqp/edit-properties.ts';
import { methodFrame } from '../../../services/broker/amqp/encode-method.ts';
import { AmqpError } from '../../../services/broker/amqp/error.ts';
import { frameType } from '../../../services/broker/amqp/frame.ts';
import { FrameParser } from '../../../services/broker/amqp/frame-parser.ts';
import { encodeProperties, scanProperties } from '../../../services/broker/amqp/properties.ts';
import { garbageLike, method, properties } from './arbitrary.ts';

/** Frames as both sides send them, with and without content. */
const conversation = fc
  .array(
    fc.oneof(
      method.map(each => methodFrame(1, each)),
      fc.record({ properties: properties.map(encodeProperties), size: fc.nat(5000) }).map(({ properties, size }) => {
        const out: Buffer[] = [];
        const returned = { replyCode: 312, replyText: '', exchange: 'ex', routingKey: 'key' };
        pushContent(out, 1, { name: 'basic.return', ...returned }, { properties, body: Buffer.alloc(size) }, 4096);
        return Buffer.concat(out);
      }),
    ),
    { maxLength: 4 },
  )
  .map(frames => Buffer.concat(frames));

/** Reads all that can be read of it. @returns frames that were sound, and errors */
function readThrough(octets: Buffer, chunkSize: number): { frames: number; errors: AmqpError[] } {
  const parser = new FrameParser(4096);
  const errors: AmqpError[] = [];
  let frames = 0;
  const readFrame = (): boolean => {
    try {
      if (!parser.next()) return false;
      frames += 1;
      const { bytes, start, end } = parser;
      if (parser.type === frameType.method) decodeMethod(bytes, start, end);
      if (parser.type === frameType.header) {
        const { properties } = decodeHeader(bytes, start, end);
        scanProperties(properties);
        scanProperties(withHeaders(properties, { 'x-death': [{ count: 1 }] }));
      }
    } catch (error) {
      if (!(error instanceof AmqpError)) throw error;
      errors.push(error);
    }
    return true;
  };
  for (let at = 0; at < octets.length; at += chunkSize) {
    parser.push(octets.subarray(at, at + chunkSize));
    while (readFrame());
  }
  return { frames, errors };
}

test('a sound conversation is read to its end without an error', () => {
  fc.assert(
    fc.property(conversation, fc.integer({ min: 1, max: 9000 }), (octets, chunkSize) => {
      const { errors, frames } = readThrough(octets, chunkSize);
      expect(errors).toEqual([]);
      expect(frames > 0).toBe(octets.length > 0);
    }),
  );
});

test('a spoilt conversation gives AMQP errors, never others, and an end', () => {
  fc.assert(
    fc.property(garbageLike(conversation), fc.integer({ min: 1, max: 9000 }), (octets, chunkSize) => {
      const { errors, frames } = readThrough(octets, chunkSize);
      expect(frames + errors.length).toBeLessThanOrEqual(octets.length);
      for (const { code, scope, text } of errors) {
        expect([501, 502, 505, 540]).toContain(code);
        expect(scope).toBe('connection');
        expect(Buffer.byteLength(text)).toBeLessThanOrEqual(255);
      }
    }),
    { numRuns: 3000 },
  );
});
