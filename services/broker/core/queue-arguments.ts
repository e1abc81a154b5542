import { originOf } from '../amqp/decode-table.ts';
import { fieldEnd } from '../amqp/field-extent.ts';
import { type FieldTable, type FieldValue, Typed } from '../amqp/field-value.ts';

/** The types of field values by the names that RabbitMQ's messages give them. */
const typeNames: Readonly<Record<string, string>> = {
  t: 'bool',
  b: 'byte',
  B: 'unsignedbyte',
  s: 'short',
  u: 'unsignedshort',
  I: 'signedint',
  i: 'unsignedint',
  l: 'long',
  L: 'long',
  f: 'float',
  d: 'double',
  S: 'longstr',
  x: 'binary',
  V: 'void',
  F: 'table',
  A: 'array',
  T: 'timestamp',
  D: 'decimal',
};

const integers: ReadonlySet<string> = new Set([
  'byte',
  'unsignedbyte',
  'short',
  'unsignedshort',
  'signedint',
  'unsignedint',
  'long',
]);

/** What no argument that we know may be is only a type. */
export type ArgumentValue = string | number | boolean | undefined;

export interface Argument {
  readonly type: string;
  readonly value: ArgumentValue;
}

export type Arguments = ReadonlyMap<string, Argument>;

export function isInteger({ type }: Argument): boolean {
  return integers.has(type);
}

/** The arguments of a declaration, each with its type as it came. */
export function readArguments(table: FieldTable): Arguments {
  const letters = lettersOf(table);
  return new Map(
    Object.entries(table).map(([name, value]) => {
      const type = typeNames[letters.get(name) ?? ''] ?? usualType(value);
      return [name, { type, value: plain(value) }];
    }),
  );
}

function lettersOf(table: FieldTable): Map<string, string> {
  const bytes = originOf(table);
  const letters = new Map<string, string>();
  for (let at = 0; bytes && at < bytes.length; at = fieldEnd(bytes, at, bytes.length)) {
    const end = at + 1 + (bytes[at] as number);
    letters.set(bytes.toString('utf8', at + 1, end), String.fromCharCode(bytes[end] as number));
  }
  return letters;
}

function plain(value: FieldValue): ArgumentValue {
  if (typeof value === 'bigint') return Number(value);
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean' ? value : undefined;
}

function usualType(value: FieldValue): string {
  if (value instanceof Typed) return typeNames[value.letter] ?? 'void';
  if (typeof value === 'string') return 'longstr';
  if (typeof value === 'boolean') return 'bool';
  if (typeof value === 'bigint') return 'long';
  if (typeof value === 'number') return Number.isInteger(value) ? 'signedint' : 'double';
  if (value === null) return 'void';
  return Array.isArray(value) ? 'array' : 'table';
}
