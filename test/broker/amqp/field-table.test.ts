import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decodeTable } from '../../../services/broker/amqp/decode-table.ts';
import { encodeTable } from '../../../services/broker/amqp/encode-table.ts';
import { AmqpError } from '../../../services/broker/amqp/error.ts';
import { checkTable } from '../../../services/broker/amqp/field-extent.ts';
import { type FieldTable, type FieldValue, Typed } from '../../../services/broker/amqp/field-value.ts';
import { askedFor, fieldTable, garbageLike, tableOctets } from './arbitrary.ts';
import { start40, start310 } from './rabbitmq-captured.ts';
import { tableVector } from './rabbitmq-encoder.ts';

/** Through the wire and back. */
function sent(table: FieldTable): FieldTable {
  return decodeTable(encodeTable(table), 4);
}

/** Copied all through, so that nothing of where it came from is known. */
function copied(value: FieldValue): FieldValue {
  if (value === null || typeof value !== 'object' || value instanceof Uint8Array || value instanceof Typed)
    return value;
  if (Array.isArray(value)) return value.map(copied);
  const entries = Object.entries(value).map(([name, each]) => [name, copied(each)]);
  return Object.assign(Object.create(null), Object.fromEntries(entries));
}

describe('tables of ours', () => {
  test('any value comes back as it was', () => {
    fc.assert(
      fc.property(fieldTable, table => {
        expect(sent(table)).toEqual(table);
      }),
    );
  });

  test('a number asked for with its type comes back as that number', () => {
    fc.assert(
      fc.property(askedFor, asked => {
        const table = encodeTable({ n: asked });
        expect(String.fromCharCode(table[6] ?? 0)).toBe(asked.letter);
        expect(decodeTable(table, 4).n).toEqual(asked.value);
      }),
    );
  });

  test.each<[FieldValue, string]>([
    [1, 'I'],
    [-(2 ** 31), 'I'],
    [2 ** 31, 'l'],
    [Number.MAX_SAFE_INTEGER, 'l'],
    [2 ** 60, 'd'],
    [-0, 'd'],
    [0.5, 'd'],
    [Number.NaN, 'd'],
    [5n, 'l'],
    ['', 'S'],
    [Buffer.from('x'), 'x'],
    [null, 'V'],
    [true, 't'],
    [[], 'A'],
    [{}, 'F'],
  ])('%s is sent as %s', (value, letter) => {
    expect(String.fromCharCode(encodeTable({ n: value })[6] ?? 0)).toBe(letter);
  });

  test.each<[string, FieldTable]>([
    ['a bigint of more than 64 bits', { n: 2n ** 63n }],
    ['a number that its type does not hold', { n: new Typed('b', 128) }],
    ['a fraction as an integer', { n: new Typed('l', 0.5) }],
    ['a time before 1970', { n: new Typed('T', -1) }],
    ['a name of more than 255 octets', { ['é'.repeat(128)]: 1 }],
    ['a type without its value', { n: new Typed<'S' | 'D'>('D', Buffer.from('1')) }],
    ['tables nested 33 deep', nested(33)],
  ])('%s cannot be sent', (_, table) => {
    expect(() => encodeTable(table)).toThrow(expect.objectContaining({ code: 541 }));
  });

  test('tables nested 32 deep can be sent, and are read', () => {
    const table = nested(32);
    expect(sent(table)).toEqual(table);
  });
});

function nested(depth: number): FieldTable {
  return depth === 1 ? {} : { t: nested(depth - 1) };
}

describe('tables of others', () => {
  test('go out again octet by octet', () => {
    fc.assert(
      fc.property(tableOctets, octets => {
        const table = decodeTable(octets);
        expect(encodeTable(table).subarray(4)).toEqual(octets);
        expect(encodeTable({ inside: [table] }).includes(octets)).toBe(true);
      }),
    );
  });

  test('mean the same when copied', () => {
    fc.assert(
      fc.property(tableOctets, octets => {
        const table = decodeTable(octets);
        expect(sent(copied(table) as FieldTable)).toEqual(table);
      }),
    );
  });

  test('are frozen, share no memory with what was received, and have no prototype to reach', () => {
    const received = encodeTable({ a: { x: Buffer.from('bytes') }, list: [1] });
    const table = decodeTable(received, 4);
    received.fill(0xff);
    expect(table).toEqual({ a: { x: Buffer.from('bytes') }, list: [1] });
    expect(encodeTable(table)).toEqual(encodeTable({ a: { x: Buffer.from('bytes') }, list: [1] }));
    for (const each of [table, table.a, table.list]) expect(Object.isFrozen(each)).toBe(true);
    expect(Object.getPrototypeOf(table)).toBe(null);
    expect(Object.getPrototypeOf(table.a)).toBe(null);
    expect(Object.getPrototypeOf(decodeTable(Buffer.alloc(0)))).toBe(null);
  });

  test('with names of prototypes change no prototype', () => {
    const evil = { polluted: true };
    const table = sent(Object.fromEntries([['__proto__', evil]]));
    expect(Object.keys(table)).toEqual(['__proto__']);
    expect(table.polluted).toBe(undefined);
    expect({}).not.toHaveProperty('polluted');
  });

  test('of a name given twice the last counts', () => {
    const twice = Buffer.concat([encodeTable({ a: 1 }).subarray(4), encodeTable({ a: 2 }).subarray(4)]);
    expect(decodeTable(twice)).toEqual({ a: 2 });
  });

  test("have each of RabbitMQ's types, as its own encoder writes them", () => {
    const octets = Buffer.from(tableVector, 'hex');
    const table = decodeTable(octets);
    expect(table).toEqual({
      s: 'texä',
      t: true,
      b: -5,
      B: 200,
      sh: -300,
      u: 60_000,
      I: -70_000,
      i: 4_000_000_000,
      l: 9_007_199_254_740_993n,
      f: 1.5,
      d: 0.1,
      T: new Typed('T', 1_700_000_000),
      D: new Typed('D', { places: 2, digits: 12_345 }),
      x: Buffer.of(0, 255),
      V: null,
      A: ['a', 5, { n: 1 }],
      F: { k: 'v' },
    });
    expect(encodeTable(table).subarray(4)).toEqual(octets);
  });

  test.each([
    ['3.10.8', start310],
    ['4.0.5', start40],
  ])('that RabbitMQ %s introduces itself with are read', (version, start) => {
    const payload = Buffer.from(start, 'hex');
    const table = decodeTable(payload, 10, 10 + payload.readUInt32BE(6));
    expect(table).toMatchObject({ product: 'RabbitMQ', version, capabilities: { 'basic.nack': true } });
  });
});

describe('what is no table', () => {
  const judge = (decide: () => void): 'taken' | 'refused' => {
    try {
      decide();
      return 'taken';
    } catch (error) {
      if (!(error instanceof AmqpError) || error.code !== 502) throw error;
      return 'refused';
    }
  };

  test('is refused with 502, by the check as by the decoder', () => {
    fc.assert(
      fc.property(garbageLike(tableOctets), octets => {
        const decoded = judge(() => decodeTable(octets));
        const checked = judge(() => checkTable(octets, 0, octets.length));
        expect(checked).toBe(decoded);
      }),
      { numRuns: 2000 },
    );
  });

  test('is refused when nested deeper than 32, however deep', () => {
    for (const letter of ['F', 'A']) {
      let octets = Buffer.alloc(0);
      for (let depth = 0; depth < 5000; depth += 1) {
        const head = Buffer.from(`${letter === 'F' || depth === 4999 ? '\x01n' : ''}${letter}\0\0\0\0`, 'latin1');
        head.writeUInt32BE(octets.length, head.length - 4);
        octets = Buffer.concat([head, octets]);
      }
      expect(() => decodeTable(octets)).toThrow('SYNTAX_ERROR - a field table nested deeper than 32');
      expect(() => checkTable(octets, 0, octets.length)).toThrow('nested deeper than 32');
    }
  });
});
