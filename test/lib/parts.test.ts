import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decodeParts, decodeRequestPart, encodeParts, encodeRequestPart } from '../../services/lib/parts.ts';

const pieces = fc
  .array(fc.uint8Array({ maxLength: 300 }), { maxLength: 4 })
  .map(list => list.map(piece => Buffer.from(piece)));
const part = fc.record({
  job: fc.string(),
  attempt: fc.string(),
  index: fc.nat(),
  last: fc.boolean(),
  head: fc.option(fc.record({ status: fc.nat(999), fields: fc.array(fc.string()), upstream: fc.string() }), {
    nil: undefined,
  }),
  failure: fc.option(fc.record({ status: fc.nat(999), reason: fc.string(), upstream: fc.string() }), {
    nil: undefined,
  }),
});
const toSend = fc.record({ part, body: pieces });

/** A message that somebody has changed, cut or made up. */
const garbage = fc.oneof(
  fc.uint8Array({ maxLength: 200 }),
  fc.tuple(fc.array(toSend, { maxLength: 3 }), fc.nat(), fc.nat(255), fc.boolean()).map(([parts, at, octet, isCut]) => {
    const content = encodeParts('worker', parts);
    if (isCut) return content.subarray(0, at % content.length);
    content[at % content.length] = octet;
    return content;
  }),
);

describe('parts of responses', () => {
  test('come out as they went in', () => {
    fc.assert(
      fc.property(fc.string(), fc.array(toSend, { maxLength: 5 }), (worker, sent) => {
        const received = decodeParts(encodeParts(worker, sent));
        expect(received.worker).toBe(worker);
        expect(received.parts).toEqual(
          sent.map(({ part, body }) => {
            const whole = Buffer.concat(body);
            return { ...part, size: whole.length, body: whole };
          }),
        );
      }),
    );
  });

  test('that are garbage are refused, or are parts whose bodies are as long as they say', () => {
    fc.assert(
      fc.property(garbage, octets => {
        const content = Buffer.from(octets);
        let total = 0;
        try {
          for (const { size, body } of decodeParts(content).parts) {
            expect(body.length).toBe(size);
            total += size;
          }
        } catch (error) {
          if (error instanceof Error && error.name === 'AssertionError') throw error;
          return;
        }
        expect(total).toBeLessThanOrEqual(content.length);
      }),
      { numRuns: 2_000 },
    );
  });
});

test('a part of a request comes out as it went in; one whose body has another length is refused', () => {
  const some = fc.record({ job: fc.string(), attempt: fc.string(), index: fc.nat(), last: fc.boolean() });
  fc.assert(
    fc.property(some, fc.uint8Array(), (terms, octets) => {
      const body = Buffer.from(octets);
      const content = encodeRequestPart(terms, body);
      expect(decodeRequestPart(content)).toEqual({ ...terms, size: body.length, body });
      expect(() => decodeRequestPart(Buffer.concat([content, Buffer.from('x')]))).toThrow();
      if (body.length > 0) expect(() => decodeRequestPart(content.subarray(0, -1))).toThrow();
    }),
  );
});
