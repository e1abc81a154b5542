import { AmqpError } from '../amqp/error.ts';
import { argumentsOf, checkArguments, type QueueType, queueTypeOf } from './argument-rules.ts';
import { parseMaxAge } from './max-age.ts';
import { type Argument, type Arguments, isInteger } from './queue-arguments.ts';

export type Overflow = 'drop-head' | 'reject-publish' | 'reject-publish-dlx';

export interface QueueSettings {
  readonly name: string;
  readonly type: QueueType;
  readonly durable: boolean;
  readonly exclusive: boolean;
  readonly autoDelete: boolean;
  /** As declared, for redeclarations and for people; those that are neither texts nor numbers nor booleans are left out. */
  readonly arguments: Readonly<Record<string, string | number | boolean>>;
  /** Their types by RabbitMQ's names. */
  readonly argumentTypes: Readonly<Record<string, string>>;
  readonly expiresMs: number | undefined;
  readonly messageTtlMs: number | undefined;
  readonly maxLength: number | undefined;
  readonly maxBytes: number | undefined;
  readonly overflow: Overflow;
  readonly deadLetterExchange: string | undefined;
  readonly deadLetterKey: string | undefined;
  readonly deliveryLimit: number | undefined;
  readonly singleActive: boolean;
  /** Streams: entries older than this may go. */
  readonly maxAgeMs: number | undefined;
}

/** RabbitMQ 4.x: a message comes back this often before it counts as poison. */
const quorumDeliveryLimit = 20;

export interface Declared {
  readonly name: string;
  readonly durable: boolean;
  readonly exclusive: boolean;
  readonly autoDelete: boolean;
  readonly arguments: Arguments;
}

/** @throws AmqpError 406 for what this type of queue cannot be; 540 for what is not built */
export function newQueueSettings(declared: Declared): QueueSettings {
  const { name, arguments: given } = declared;
  checkArguments(name, given);
  if (queueTypeOf(given) !== 'classic') {
    for (const [property, isWrong] of [
      ['auto-delete', declared.autoDelete],
      ['exclusive-owner', declared.exclusive],
      ['non-durable', !declared.durable],
    ] as const) {
      if (isWrong) throw new AmqpError(406, `invalid property '${property}' for queue '${name}' in vhost '/'`);
    }
  }
  return queueSettings(declared);
}

/** Of arguments that were checked once. */
export function queueSettings({ name, durable, exclusive, autoDelete, arguments: given }: Declared): QueueSettings {
  const number = (argument: string): number | undefined => {
    const value = given.get(argument)?.value;
    return typeof value === 'number' ? value : undefined;
  };
  const text = (argument: string): string | undefined => {
    const value = given.get(argument)?.value;
    return typeof value === 'string' ? value : undefined;
  };
  const type = queueTypeOf(given);
  const limit = number('x-delivery-limit') ?? (type === 'quorum' ? quorumDeliveryLimit : undefined);
  const shown = [...given].filter(([, { value }]) => value !== undefined);
  return {
    name,
    type,
    // An exclusive queue goes with its connection, so nothing of it need outlive the process.
    durable: durable && !exclusive,
    exclusive,
    autoDelete,
    arguments: Object.fromEntries(shown.map(([key, { value }]) => [key, value ?? ''])),
    argumentTypes: Object.fromEntries(shown.map(([key, argument]) => [key, argument.type])),
    expiresMs: number('x-expires'),
    messageTtlMs: number('x-message-ttl'),
    maxLength: number('x-max-length'),
    maxBytes: number('x-max-length-bytes'),
    overflow: overflowOf(text('x-overflow'), type),
    deadLetterExchange: text('x-dead-letter-exchange'),
    deadLetterKey: text('x-dead-letter-routing-key'),
    deliveryLimit: limit !== undefined && limit < 0 ? undefined : limit,
    singleActive: given.get('x-single-active-consumer')?.value === true,
    maxAgeMs: parseMaxAge(text('x-max-age') ?? ''),
  };
}

function overflowOf(given: string | undefined, type: QueueType): Overflow {
  if (given === 'reject-publish') return given;
  // Quorum queues warn in the log, and drop.
  return given === 'reject-publish-dlx' && type === 'classic' ? given : 'drop-head';
}

/** The arguments that settings were made of, as far as they count. */
export function argumentsOfSettings({
  arguments: values,
  argumentTypes: types,
}: Pick<QueueSettings, 'arguments' | 'argumentTypes'>): Arguments {
  return new Map(Object.entries(values).map(([name, value]) => [name, { value, type: types[name] ?? 'longstr' }]));
}

/** @throws AmqpError 406 naming what differs, as RabbitMQ does */
export function checkEquivalent(existing: QueueSettings, declared: Declared): void {
  const durable = declared.durable && !declared.exclusive;
  for (const [what, had, got] of [
    ['durable', existing.durable, durable],
    ['auto_delete', existing.autoDelete, declared.autoDelete],
  ] as const) {
    if (had !== got) throw inequivalent(what, existing.name, `'${got}'`, `'${had}'`);
  }
  const type = queueTypeOf(declared.arguments);
  if (existing.type !== type) throw inequivalent('x-queue-type', existing.name, `'${type}'`, `'${existing.type}'`);
  const before = argumentsOfSettings(existing);
  for (const name of argumentsOf(type)) {
    if (name === 'x-queue-type') continue;
    const had = before.get(name);
    const got = declared.arguments.get(name);
    if (had && got) {
      const isSame = had.value === got.value && kindOf(had) === kindOf(got);
      if (!isSame) throw inequivalent(name, existing.name, `'${got.value}'`, `'${had.value}'`);
    } else if (had || got) throw inequivalent(name, existing.name, described(got), described(had));
  }
}

/** Integers of all widths are one kind. */
function kindOf(argument: Argument): string {
  return isInteger(argument) ? 'integer' : argument.type;
}

function described(argument: Argument | undefined): string {
  return argument ? `the value '${argument.value}' of type '${argument.type}'` : 'none';
}

function inequivalent(what: string, queue: string, received: string, current: string): AmqpError {
  return new AmqpError(
    406,
    `inequivalent arg '${what}' for queue '${queue}' in vhost '/': received ${received} but current is ${current}`,
  );
}
