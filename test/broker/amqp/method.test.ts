import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decodeClientMethod, decodeMethod } from '../../../services/broker/amqp/decode-method.ts';
import { ackFrame, encodeMethod, methodFrame, nackFrame } from '../../../services/broker/amqp/encode-method.ts';
import { AmqpError, replyCodes } from '../../../services/broker/amqp/error.ts';
import { type Argument, type MethodName, specOf } from '../../../services/broker/amqp/method-spec.ts';
import { methodTable } from '../../../services/broker/amqp/method-table.ts';
import { garbageLike, method } from './arbitrary.ts';
import { methodVectors } from './rabbitmq-encoder.ts';

/** What `methodVectors` says the K-th argument to be. */
function vectorArgument({ name, kind }: Argument, k: number): unknown {
  const text = `${name.replaceAll(/[A-Z]/g, letter => `_${letter.toLowerCase()}`)}${k}`;
  const values = {
    octet: name === 'versionMinor' ? 9 : 0,
    short: name === 'ticket' ? 0 : 1000 + k,
    long: 100_000 + k,
    longlong: 3 * 2 ** 32 + 7,
    shortstr: text,
    longstr: Buffer.from(text),
    bit: k % 2 === 1,
    table: { k: 'v' },
  };
  return values[kind];
}

describe("RabbitMQ's encoder and ours agree", () => {
  test('on which methods there are', () => {
    expect(methodVectors.map(([name]) => name).sort()).toEqual(Object.keys(methodTable).sort());
  });

  test.each(methodVectors)('on %s', (name, hasContent, hex) => {
    const spec = specOf(name as MethodName);
    const decoded = decodeMethod(Buffer.from(hex, 'hex'));
    const expected = Object.fromEntries(
      spec.arguments.flatMap((each, index) => (each.isReserved ? [] : [[each.name, vectorArgument(each, index + 1)]])),
    );
    expect(decoded).toMatchObject({ name, ...expected });
    expect(encodeMethod(decoded).toString('hex')).toBe(hex);
    expect(spec.hasContent).toBe(hasContent);
  });
});

describe('any method', () => {
  test('comes back as it was', () => {
    fc.assert(
      fc.property(method, each => {
        const { route: _, ...decoded } = { route: undefined, ...decodeMethod(encodeMethod(each)) };
        expect(decoded).toEqual(each);
      }),
      { numRuns: 1000 },
    );
  });

  test('is read in place, whatever lies around it', () => {
    fc.assert(
      fc.property(method, fc.nat(20), fc.nat(20), (each, before, after) => {
        const payload = encodeMethod(each);
        const around = Buffer.concat([Buffer.alloc(before, 0xff), payload, Buffer.alloc(after, 0xff)]);
        expect(decodeMethod(around, before, before + payload.length)).toEqual(decodeMethod(payload));
      }),
    );
  });

  test('travels in a frame of its channel', () => {
    fc.assert(
      fc.property(method, fc.nat(0xffff), (each, channel) => {
        const payload = encodeMethod(each);
        const head = Buffer.of(1, channel >> 8, channel & 0xff, 0, 0, payload.length >> 8, payload.length & 0xff);
        expect(methodFrame(channel, each)).toEqual(Buffer.concat([head, payload, Buffer.of(0xce)]));
      }),
    );
  });

  test('cut short or drawn out is refused with 501, and named as the cause', () => {
    fc.assert(
      fc.property(method, fc.nat(), (each, place) => {
        const payload = encodeMethod(each);
        const { classId, methodId } = specOf(each.name);
        const drawnOut = Buffer.concat([payload, Buffer.of(0)]);
        expect(() => decodeMethod(drawnOut)).toThrow(expect.objectContaining({ code: 501, classId, methodId }));
        const cut = 4 + (place % (payload.length - 3));
        if (cut >= payload.length) return;
        expect(() => decodeMethod(payload, 0, cut)).toThrow(expect.objectContaining({ code: 501, classId, methodId }));
      }),
    );
  });

  test('made of garbage is refused with an AMQP error', () => {
    fc.assert(
      fc.property(garbageLike(method.map(encodeMethod)), payload => {
        try {
          decodeMethod(payload);
        } catch (error) {
          if (!(error instanceof AmqpError)) throw error;
          expect([501, 502, 540]).toContain(error.code);
        }
      }),
      { numRuns: 3000 },
    );
  });
});

test('by-hand frames of acknowledgements are those of the table', () => {
  fc.assert(
    fc.property(fc.nat(0xffff), fc.maxSafeNat(), fc.boolean(), (channel, deliveryTag, multiple) => {
      expect(ackFrame(channel, deliveryTag, multiple)).toEqual(
        methodFrame(channel, { name: 'basic.ack', deliveryTag, multiple }),
      );
      expect(nackFrame(channel, deliveryTag, multiple)).toEqual(
        methodFrame(channel, { name: 'basic.nack', deliveryTag, multiple, requeue: false }),
      );
    }),
  );
});

test("a publish keeps its exchange and routing key as they came, for the consumers' deliveries", () => {
  const publish = decodeMethod(
    encodeMethod({ name: 'basic.publish', exchange: 'ex', routingKey: 'clé', mandatory: true, immediate: false }),
  );
  expect(publish).toMatchObject({ exchange: 'ex', routingKey: 'clé', route: Buffer.from('\x02ex\x04clé') });
});

describe('is refused as by RabbitMQ, or by the specification where RabbitMQ only hangs up', () => {
  const queue = Buffer.from('003200140000', 'hex');

  test.each<[string, Buffer, Partial<AmqpError>]>([
    [
      'an unknown class',
      Buffer.from('0063000a', 'hex'),
      { code: 540, text: 'NOT_IMPLEMENTED - no method 99.10', classId: 99, methodId: 10 },
    ],
    ['an unknown method', Buffer.from('003c0063', 'hex'), { code: 540, classId: 60, methodId: 99 }],
    ['exchange.unbind-ok by the number it has not', Buffer.from('00280029', 'hex'), { code: 540 }],
    [
      'a method of less than its two numbers',
      Buffer.from('003c00', 'hex'),
      { code: 501, text: 'FRAME_ERROR - cannot decode <<0,60,0>>', classId: 0, methodId: 0 },
    ],
    [
      'a truncated queue.bind',
      Buffer.concat([queue, Buffer.from('\x01x')]),
      { code: 501, text: 'FRAME_ERROR - cannot decode <<0,0,1,120>>', classId: 50, methodId: 20 },
    ],
    [
      'a queue name that is not UTF-8',
      Buffer.concat([queue, Buffer.from('01ff0000000000000000', 'hex')]),
      { code: 501, text: 'FRAME_ERROR - Malformed UTF-8 in shortstr', classId: 0, methodId: 0 },
    ],
    [
      'arguments that are no table',
      Buffer.concat([queue, Buffer.from('00000000', 'hex'), Buffer.from('\0\0\0\x03\x01aZ')]),
      { code: 502, text: 'SYNTAX_ERROR - a field of unknown type 90' },
    ],
  ])('%s', (_, payload, error) => {
    expect(() => decodeMethod(payload)).toThrow(expect.objectContaining(error));
  });

  test('a routing key of U+FFFD itself is no error', () => {
    const publish = { name: 'basic.publish', exchange: '', routingKey: '\ufffd', mandatory: false, immediate: false };
    expect(decodeMethod(encodeMethod({ ...publish, name: 'basic.publish' }))).toMatchObject(publish);
  });

  test('bits without a meaning are passed over', () => {
    const payload = encodeMethod({ name: 'basic.ack', deliveryTag: 1, multiple: false });
    payload[payload.length - 1] = 0xfe;
    expect(decodeMethod(payload)).toEqual({ name: 'basic.ack', deliveryTag: 1, multiple: false });
  });

  test('any method that only a server sends, when a client sends it', () => {
    fc.assert(
      fc.property(method, each => {
        const { from, classId, methodId } = specOf(each.name);
        const decode = (): unknown => decodeClientMethod(encodeMethod(each));
        const text = 'COMMAND_INVALID - unimplemented method';
        if (from !== 'server') expect(decode()).toMatchObject({ name: each.name });
        else expect(decode).toThrow(expect.objectContaining({ code: 503, text, classId, methodId }));
      }),
    );
  });
});

describe('an AMQP error', () => {
  test("says RabbitMQ's words", () => {
    const error = new AmqpError(404, "no queue 'x' in vhost '/'", { classId: 50, methodId: 10 });
    expect(error).toMatchObject({ scope: 'channel', classId: 50, methodId: 10 });
    expect(error.text).toBe("NOT_FOUND - no queue 'x' in vhost '/'");
  });

  test('fits into the method that closes, whatever it quotes', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', minLength: 50, maxLength: 600 }), quoted => {
        const { code, text } = new AmqpError(404, quoted);
        const whole = `NOT_FOUND - ${quoted}`;
        if (text !== whole) expect(whole.startsWith(text.slice(0, -3)) && text.endsWith('...')).toBe(true);
        expect(Buffer.byteLength(text) > 250 || text === whole).toBe(true);
        methodFrame(1, { name: 'channel.close', replyCode: code, replyText: text, classId: 0, methodId: 0 });
      }),
    );
  });

  test('closes the channel or the connection as the specification says', () => {
    const soft = Object.entries(replyCodes).filter(([, { scope }]) => scope === 'channel');
    expect(soft.map(([code]) => Number(code))).toEqual([311, 312, 313, 403, 404, 405, 406]);
  });
});
