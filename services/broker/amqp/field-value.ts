/**
 * The values of field tables (§4.2.5.5) in JavaScript. RabbitMQ's type letters, which differ from the specification's
 * (https://www.rabbitmq.com/amqp-0-9-1-errata.html, section 3):
 *
 * | letter | octets | on the wire | in JavaScript |
 * |---|---|---|---|
 * | t | 1 | boolean | boolean |
 * | b B | 1 | signed, unsigned integer | number |
 * | s u | 2 | signed, unsigned integer | number |
 * | I i | 4 | signed, unsigned integer | number |
 * | l L | 8 | signed integer, both | number, beyond 2^53 bigint |
 * | f d | 4, 8 | floating point | number |
 * | S | 4 + n | text | string; `Typed` if not UTF-8 |
 * | x | 4 + n | octets | Buffer |
 * | V | 0 | nothing | null |
 * | F A | 4 + n | table, array | FieldTable, FieldArray |
 * | T | 8 | seconds since 1970 | `Typed`, number, beyond 2^53 bigint |
 * | D | 5 | decimal | `Typed`, Decimal |
 */
export type FieldValue = string | number | bigint | boolean | null | Uint8Array | Typed | FieldArray | FieldTable;

export type FieldArray = readonly FieldValue[];

/** What came from the wire has no prototype, so any name is only a name; of a name given twice the last counts. */
export interface FieldTable {
  readonly [name: string]: FieldValue;
}

/** digits × 10^-places */
export interface Decimal {
  /** 0 to 255 */
  readonly places: number;
  /** 0 to 2^32-1 */
  readonly digits: number;
}

interface TypedValues {
  b: number;
  B: number;
  s: number;
  u: number;
  I: number;
  i: number;
  l: number | bigint;
  L: number | bigint;
  f: number;
  d: number;
  S: Uint8Array;
  T: number | bigint;
  D: Decimal;
}

export type TypeLetter = keyof TypedValues;

/** A value with its type letter: for types that JavaScript has not, and for whoever wants another number type. */
export class Typed<Letter extends TypeLetter = TypeLetter> {
  readonly letter: Letter;
  readonly value: TypedValues[Letter];

  constructor(letter: Letter, value: TypedValues[Letter]) {
    this.letter = letter;
    this.value = value;
  }
}
