import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decodeHeader } from '../../../services/broker/amqp/content-header.ts';
import {
  headersOf,
  withHeaders,
  withoutExpiration,
  withReplyTo,
} from '../../../services/broker/amqp/edit-properties.ts';
import { AmqpError } from '../../../services/broker/amqp/error.ts';
import { Typed } from '../../../services/broker/amqp/field-value.ts';
import { decodeProperties, encodeProperties, scanProperties } from '../../../services/broker/amqp/properties.ts';
import { fieldTable, garbageLike, properties, shortText } from './arbitrary.ts';
import { deadLetterHeader } from './rabbitmq-captured.ts';
import { propertiesVector, tableVector } from './rabbitmq-encoder.ts';

const deadLetter = decodeHeader(Buffer.from(deadLetterHeader, 'hex'));

describe('properties', () => {
  test('come back as they were', () => {
    fc.assert(
      fc.property(properties, each => {
        const section = encodeProperties(each);
        expect(decodeProperties(section)).toEqual(each);
        expect(encodeProperties(decodeProperties(section))).toEqual(section);
      }),
      { numRuns: 500 },
    );
  });

  test('are scanned as they are decoded', () => {
    fc.assert(
      fc.property(properties, each => {
        const { deliveryMode = 0, priority = 0, replyTo, expiration, userId } = each;
        const scanned = scanProperties(encodeProperties(each));
        expect(scanned).toEqual({ deliveryMode, priority, replyTo, expiration, userId });
      }),
    );
  });

  test("are those that RabbitMQ's encoder writes", () => {
    const section = Buffer.from(propertiesVector, 'hex');
    const decoded = decodeProperties(section);
    expect(decoded).toEqual({
      contentType: 'text/plain',
      contentEncoding: 'gzip',
      headers: headersOf(section),
      deliveryMode: 2,
      priority: 7,
      correlationId: 'corr',
      replyTo: 'reply',
      expiration: '1000',
      messageId: 'mid',
      timestamp: 1_700_000_000,
      type: 'typ',
      userId: 'usr',
      appId: 'app',
      clusterId: 'clu',
    });
    expect(section.includes(Buffer.from(tableVector, 'hex'))).toBe(true);
    expect(encodeProperties(decoded)).toEqual(section);
  });

  test('of a message that RabbitMQ dead-lettered are read', () => {
    expect(deadLetter).toMatchObject({ classId: 60, bodySize: 5 });
    expect(decodeProperties(deadLetter.properties)).toMatchObject({
      headers: {
        a: 1,
        b: 'zwei',
        'x-death': [
          {
            count: 1,
            reason: 'expired',
            queue: 'codec.ttl',
            time: expect.any(Typed),
            exchange: '',
            'routing-keys': ['codec.ttl'],
            'original-expiration': '5',
          },
        ],
        'x-first-death-reason': 'expired',
      },
      deliveryMode: 1,
      messageId: 'm',
    });
  });

  test('that are no UTF-8 are passed on, as RabbitMQ does', () => {
    const section = Buffer.from('040001ff', 'hex');
    expect(scanProperties(section).userId).toBe(undefined);
    expect(decodeProperties(section)).toEqual({ correlationId: '\ufffd' });
  });

  test('that do not fit cannot be sent', () => {
    for (const each of [{ messageId: 'x'.repeat(256) }, { deliveryMode: 256 }, { timestamp: -1 }]) {
      expect(() => encodeProperties(each)).toThrow(expect.objectContaining({ code: 541 }));
    }
  });
});

describe('an edited section', () => {
  test('has the headers added and dropped, and all else octet by octet', () => {
    const names = fc.array(shortText, { maxLength: 3 });
    fc.assert(
      fc.property(properties, fieldTable, names, (each, add, drop) => {
        const section = encodeProperties(each);
        const edited = withHeaders(section, add, drop);
        const kept = Object.entries(each.headers ?? {}).filter(([name]) => !drop.includes(name));
        const headers = { ...Object.fromEntries(kept), ...add };
        expect(headersOf(edited)).toEqual(headers);
        const { headers: _, ...others } = each;
        const { headers: __, ...editedOthers } = decodeProperties(edited);
        expect(editedOthers).toEqual(others);
        expect(scanProperties(edited)).toEqual(scanProperties(section));
      }),
      { numRuns: 500 },
    );
  });

  test('keeps the octets of the headers that were there', () => {
    const edited = withHeaders(deadLetter.properties, { 'x-delivery-count': new Typed('l', 2) });
    const before = deadLetter.properties.subarray(6, -3);
    expect(edited.includes(before)).toBe(true);
    expect(edited.length).toBe(deadLetter.properties.length + 17 + 9);
    expect(withHeaders(edited, {}, ['x-delivery-count'])).toEqual(deadLetter.properties);
  });

  test('is the same one if nothing is added to none', () => {
    const section = encodeProperties({ deliveryMode: 2 });
    expect(withHeaders(section, {})).toEqual(section);
    expect(headersOf(section)).toEqual({});
  });

  test('has its reply-to replaced, its expiration taken out, and no more', () => {
    fc.assert(
      fc.property(properties, shortText, (each, replyTo) => {
        const section = encodeProperties(each);
        expect(withReplyTo(section, replyTo)).toEqual(encodeProperties({ ...each, replyTo }));
        const { expiration: _, ...others } = each;
        expect(withoutExpiration(section)).toEqual(encodeProperties(others));
      }),
    );
  });
});

describe('what is no property section', () => {
  const refusal = (decode: () => unknown): number | undefined => {
    try {
      decode();
      return undefined;
    } catch (error) {
      if (!(error instanceof AmqpError)) throw error;
      return error.code;
    }
  };

  test('is refused with 502, by the scan as by the decoder, and cannot be edited into an exception', () => {
    fc.assert(
      fc.property(garbageLike(properties.map(encodeProperties)), section => {
        const scanned = refusal(() => scanProperties(section));
        expect([undefined, 502]).toContain(scanned);
        expect(refusal(() => decodeProperties(section))).toBe(scanned);
        refusal(() => headersOf(section));
        refusal(() => withHeaders(section, { a: 1 }));
        refusal(() => withoutExpiration(section));
      }),
      { numRuns: 3000 },
    );
  });

  test.each([
    ['no flags', ''],
    ['one octet of flags', '80'],
    ['flags that announce more flags', '00010000'],
    ['a flag without a value', '8000'],
    ['a text longer than the section', '80000541'],
    ['a value without a flag', '00000541'],
    ['headers longer than the section', '200000000005'],
    ['headers that are no table', '20000000000301615a'],
  ])('%s: 502', (_, hex) => {
    expect(() => scanProperties(Buffer.from(hex, 'hex'))).toThrow(expect.objectContaining({ code: 502 }));
  });
});

describe('a content header', () => {
  const header = (hex: string): Buffer => Buffer.from(hex, 'hex');

  test('says the class, the size of the body and the properties, wherever it lies', () => {
    const payload = header('ff003c0000000000010000000280000141ff');
    expect(decodeHeader(payload, 1, payload.length - 1)).toEqual({
      classId: 60,
      bodySize: 2 ** 32 + 2,
      properties: header('80000141'),
    });
  });

  test.each([
    ['of another class', '003200000000000000000000', 505, 'got one for class 50 instead'],
    ['with a weight', '003c00010000000000000000', 505, 'got non content header frame instead'],
    ['too short', '003c0000', 501, 'a content header of less than 12 octets'],
  ])('%s is refused', (_, hex, code, text) => {
    const refused = expect.objectContaining({ code, text: expect.stringContaining(text) });
    expect(() => decodeHeader(header(hex))).toThrow(refused);
  });
});
