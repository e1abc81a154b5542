import fc from 'fast-check';
import { type FieldTable, type FieldValue, Typed } from '../../../services/broker/amqp/field-value.ts';
import { type Method, specOf } from '../../../services/broker/amqp/method-spec.ts';
import { methodTable } from '../../../services/broker/amqp/method-table.ts';
import type { Properties } from '../../../services/broker/amqp/properties.ts';

/** Text that UTF-8 can carry, names that are prototypes' among it. */
const text = (maxLength: number): fc.Arbitrary<string> =>
  fc.oneof(
    fc.string({ maxLength }),
    fc.string({ unit: 'grapheme', maxLength: Math.floor(maxLength / 2) }),
    fc.constantFrom('__proto__', 'constructor', 'toString', '0', '17', '\ufffd'),
  );

export const shortText = text(60).filter(each => Buffer.byteLength(each) <= 255);

export const octets = fc.uint8Array({ maxLength: 40 }).map(each => Buffer.from(each));

const signed = (bits: number): fc.Arbitrary<number> =>
  fc.integer({ min: -(2 ** (bits - 1)), max: 2 ** (bits - 1) - 1 });
const unsigned = (bits: number): fc.Arbitrary<number> => fc.integer({ min: 0, max: 2 ** bits - 1 });
const safe = fc.maxSafeInteger();
const natural = fc.maxSafeNat();

/** Neither a number nor a safe bigint stands for these: only the bigint does. */
const large = fc
  .bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })
  .filter(value => !Number.isSafeInteger(Number(value)));

const typed: fc.Arbitrary<Typed> = fc.oneof(
  natural.map(value => new Typed('T', value)),
  fc.record({ places: unsigned(8), digits: unsigned(32) }).map(value => new Typed('D', value)),
);

/** Values that come back as they are, of which each has one form in octets. */
export const fieldValue: fc.Arbitrary<FieldValue> = fc.letrec<{ value: FieldValue; table: FieldTable }>(tie => ({
  value: fc.oneof(
    { maxDepth: 4, depthSize: 'small' },
    text(40),
    safe,
    fc.double(),
    large,
    fc.boolean(),
    fc.constant(null),
    octets,
    typed,
    fc.array(tie('value'), { maxLength: 4 }),
    tie('table'),
  ),
  table: fc.dictionary(shortText, tie('value'), { maxKeys: 5, noNullPrototype: false }),
})).value;

export const fieldTable: fc.Arbitrary<FieldTable> = fc.dictionary(shortText, fieldValue, { maxKeys: 6 });

/** Numbers of the types that whoever encodes must ask for. */
export const askedFor: fc.Arbitrary<Typed> = fc.oneof(
  signed(8).map(value => new Typed('b', value)),
  unsigned(8).map(value => new Typed('B', value)),
  signed(16).map(value => new Typed('s', value)),
  unsigned(16).map(value => new Typed('u', value)),
  signed(32).map(value => new Typed('I', value)),
  unsigned(32).map(value => new Typed('i', value)),
  safe.map(value => new Typed('l', value)),
  safe.map(value => new Typed('L', value)),
  fc.float().map(value => new Typed('f', value)),
  fc.double().map(value => new Typed('d', value)),
);

const argument = {
  octet: unsigned(8),
  short: unsigned(16),
  long: unsigned(32),
  longlong: natural,
  shortstr: shortText,
  longstr: octets,
  bit: fc.boolean(),
  table: fieldTable,
};

/** Any method with any arguments. */
export const method: fc.Arbitrary<Method> = fc
  .constantFrom(...(Object.keys(methodTable) as Method['name'][]))
  .chain(name => {
    const asked = specOf(name).arguments.filter(each => !each.isReserved);
    return fc.record({
      name: fc.constant(name),
      ...Object.fromEntries(asked.map(each => [each.name, argument[each.kind]])),
    }) as unknown as fc.Arbitrary<Method>;
  });

/** Any properties, each there or not. */
export const properties: fc.Arbitrary<Properties> = fc.record(
  {
    contentType: shortText,
    contentEncoding: shortText,
    headers: fieldTable,
    deliveryMode: unsigned(8),
    priority: unsigned(8),
    correlationId: shortText,
    replyTo: shortText,
    expiration: shortText,
    messageId: shortText,
    timestamp: natural,
    type: shortText,
    userId: shortText,
    appId: shortText,
    clusterId: shortText,
  },
  { requiredKeys: [] },
);

const count = (bytes: Uint8Array): Buffer => {
  const head = Buffer.alloc(4);
  head.writeUInt32BE(bytes.length);
  return Buffer.concat([head, bytes]);
};

const name = fc.uint8Array({ maxLength: 6 }).map(each => Buffer.concat([Buffer.of(each.length), each]));

const fixed = { t: 1, b: 1, B: 1, s: 2, u: 2, I: 4, i: 4, l: 8, L: 8, f: 4, d: 8, T: 8, D: 5, V: 0 };

/** The octets of any table that the wire can carry, well formed though odd: no UTF-8, names twice, booleans of 7. */
export const tableOctets: fc.Arbitrary<Buffer> = fc.letrec<{ value: Buffer; table: Buffer; array: Buffer }>(tie => ({
  value: fc.oneof(
    { maxDepth: 5, depthSize: 'small' },
    fc
      .constantFrom(...Object.entries(fixed))
      .chain(([letter, size]) =>
        fc.uint8Array({ minLength: size, maxLength: size }).map(each => Buffer.concat([Buffer.from(letter), each])),
      ),
    fc
      .tuple(fc.constantFrom('S', 'x'), octets)
      .map(([letter, each]) => Buffer.concat([Buffer.from(letter), count(each)])),
    tie('table').map(each => Buffer.concat([Buffer.from('F'), count(each)])),
    tie('array').map(each => Buffer.concat([Buffer.from('A'), count(each)])),
  ),
  table: fc.array(fc.tuple(name, tie('value')), { maxLength: 5 }).map(fields => Buffer.concat(fields.flat())),
  array: fc.array(tie('value'), { maxLength: 5 }).map(values => Buffer.concat(values)),
})).table;

/** Octets of no meaning, and octets that had one before some were changed, taken out or put in. */
export function garbageLike(original: fc.Arbitrary<Buffer>): fc.Arbitrary<Buffer> {
  const change = fc.tuple(fc.nat(), fc.constantFrom('set', 'cut', 'insert', 'huge'), fc.nat(255));
  const mutated = fc.tuple(original, fc.array(change, { minLength: 1, maxLength: 4 })).map(([bytes, changes]) => {
    let mutant = [...bytes];
    for (const [place, what, value] of changes) {
      const at = place % Math.max(1, mutant.length);
      if (what === 'cut') mutant = mutant.slice(0, at);
      else if (what === 'huge') mutant.splice(at, 4, 0xff, 0xff, 0xff, 0xff);
      else mutant.splice(at, what === 'set' ? 1 : 0, value);
    }
    return Buffer.from(mutant);
  });
  return fc.oneof(octets, mutated);
}
