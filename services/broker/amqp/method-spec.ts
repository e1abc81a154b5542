import type { MethodId } from './error.ts';
import type { FieldTable } from './field-value.ts';
import { type FieldKind, methodTable, type Sender } from './method-table.ts';

type Table = typeof methodTable;

export type MethodName = keyof Table;

interface Carried {
  octet: number;
  short: number;
  long: number;
  longlong: number;
  shortstr: string;
  longstr: Buffer;
  bit: boolean;
  table: FieldTable;
}

/** One method with its arguments, reserved ones left out: `{ name: 'queue.purge-ok', messageCount: 3 }`. */
export type MethodOf<Name extends MethodName> = { readonly name: Name } & {
  readonly [Field in keyof Table[Name][3] as Field extends `reserved${number}`
    ? never
    : Field]: Table[Name][3][Field] extends FieldKind ? Carried[Table[Name][3][Field]] : never;
};

/** Any method, told apart by its name. */
export type Method = { [Name in MethodName]: MethodOf<Name> }[MethodName];

/** What a client may send. */
export type ClientMethod = {
  [Name in MethodName]: Table[Name][2] extends 'server' ? never : MethodOf<Name>;
}[MethodName];

export interface Argument {
  readonly name: string;
  readonly kind: FieldKind;
  readonly isReserved: boolean;
}

export interface MethodSpec extends MethodId {
  readonly name: MethodName;
  readonly from: Sender;
  /** The sender waits for its `-ok`. */
  readonly isSynchronous: boolean;
  /** A content header follows. */
  readonly hasContent: boolean;
  readonly arguments: readonly Argument[];
}

const withContent: ReadonlySet<string> = new Set(['basic.publish', 'basic.return', 'basic.deliver', 'basic.get-ok']);

const specs = new Map<string, MethodSpec>();
const specsById = new Map<number, MethodSpec>();

for (const [name, [classId, methodId, from, kinds]] of Object.entries(methodTable)) {
  const spec: MethodSpec = {
    name: name as MethodName,
    classId,
    methodId,
    from,
    isSynchronous: Object.hasOwn(methodTable, `${name}-ok`),
    hasContent: withContent.has(name),
    arguments: Object.entries(kinds).map(([argument, kind]) => ({
      name: argument,
      kind,
      isReserved: argument.startsWith('reserved'),
    })),
  };
  specs.set(name, spec);
  specsById.set(idOf(classId, methodId), spec);
}

/** The method's row, by name. */
export function specOf(name: MethodName): MethodSpec {
  return specs.get(name) as MethodSpec;
}

/** The method's row, by `idOf` its numbers. */
export function specById(id: number): MethodSpec | undefined {
  return specsById.get(id);
}

/** Both numbers in one, as a method frame begins (§2.3.5.1). */
export function idOf(classId: number, methodId: number): number {
  return classId * 0x1_0000 + methodId;
}
