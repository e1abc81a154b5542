import { AmqpError } from '../amqp/error.ts';
import { type FieldTable, type FieldValue, Typed } from '../amqp/field-value.ts';

export type QueueType = 'classic' | 'quorum' | 'stream';

export interface QueueSettings {
  readonly name: string;
  readonly type: QueueType;
  readonly durable: boolean;
  readonly exclusive: boolean;
  readonly autoDelete: boolean;
  /** As declared, for redeclarations and for people. */
  readonly arguments: Readonly<Record<string, string | number>>;
  readonly expiresMs: number | undefined;
  readonly messageTtlMs: number | undefined;
  readonly maxLength: number | undefined;
  readonly maxBytes: number | undefined;
  readonly overflow: 'drop-head' | 'reject-publish';
  readonly deadLetterExchange: string | undefined;
  readonly deadLetterKey: string | undefined;
  readonly deliveryLimit: number | undefined;
  readonly singleActive: boolean;
  /** Streams: entries older than this may go. */
  readonly maxAgeMs: number | undefined;
}

/** RabbitMQ 4.x: a message comes back this often before it counts as poison. */
const quorumDeliveryLimit = 20;

const known: Readonly<
  Record<
    string,
    { readonly kind: 'count' | 'positive' | 'limit' | 'text' | 'flag'; readonly types: readonly QueueType[] }
  >
> = {
  'x-queue-type': { kind: 'text', types: ['classic', 'quorum', 'stream'] },
  'x-queue-version': { kind: 'count', types: ['classic'] },
  'x-queue-mode': { kind: 'text', types: ['classic'] },
  'x-expires': { kind: 'positive', types: ['classic', 'quorum'] },
  'x-message-ttl': { kind: 'count', types: ['classic', 'quorum'] },
  'x-max-length': { kind: 'count', types: ['classic', 'quorum'] },
  'x-max-length-bytes': { kind: 'count', types: ['classic', 'quorum', 'stream'] },
  'x-overflow': { kind: 'text', types: ['classic', 'quorum'] },
  'x-dead-letter-exchange': { kind: 'text', types: ['classic', 'quorum'] },
  'x-dead-letter-routing-key': { kind: 'text', types: ['classic', 'quorum'] },
  'x-dead-letter-strategy': { kind: 'text', types: ['quorum'] },
  'x-delivery-limit': { kind: 'limit', types: ['quorum'] },
  'x-single-active-consumer': { kind: 'flag', types: ['classic', 'quorum'] },
  'x-quorum-initial-group-size': { kind: 'positive', types: ['quorum'] },
  'x-initial-cluster-size': { kind: 'positive', types: ['stream'] },
  'x-queue-leader-locator': { kind: 'text', types: ['classic', 'quorum', 'stream'] },
  'x-max-age': { kind: 'text', types: ['stream'] },
  'x-stream-max-segment-size-bytes': { kind: 'positive', types: ['stream'] },
  'x-stream-filter-size-bytes': { kind: 'positive', types: ['stream'] },
};

export interface Declared {
  readonly name: string;
  readonly durable: boolean;
  readonly exclusive: boolean;
  readonly autoDelete: boolean;
  readonly arguments: FieldTable;
}

/** @throws AmqpError 406 for an argument that this type of queue does not have, or a value out of its range; 540 for what is not built */
export function queueSettings(declared: Declared): QueueSettings {
  const args = Object.fromEntries(
    Object.entries(declared.arguments).map(([name, value]) => [name, plain(name, value)]),
  );
  const type = args['x-queue-type'] ?? 'classic';
  if (type !== 'classic' && type !== 'quorum' && type !== 'stream') {
    throw invalid('x-queue-type', declared.name, `unsupported queue type '${type}'`);
  }
  for (const [name, value] of Object.entries(args)) check(name, value, type, declared.name);
  if (type !== 'classic') {
    for (const [flag, isSet] of [
      ['exclusive', declared.exclusive],
      ['auto-delete', declared.autoDelete],
    ] as const) {
      if (isSet) throw new AmqpError(406, `invalid property '${flag}' for queue '${declared.name}' in vhost '/'`);
    }
    if (!declared.durable)
      throw new AmqpError(406, `invalid property 'non-durable' for queue '${declared.name}' in vhost '/'`);
  }
  const number = (name: string): number | undefined => (typeof args[name] === 'number' ? args[name] : undefined);
  const text = (name: string): string | undefined => (typeof args[name] === 'string' ? args[name] : undefined);
  if (text('x-dead-letter-routing-key') !== undefined && text('x-dead-letter-exchange') === undefined) {
    throw invalid('x-dead-letter-routing-key', declared.name, 'routing_key_but_no_dlx_defined');
  }
  const overflow = text('x-overflow') ?? 'drop-head';
  if (overflow !== 'drop-head' && overflow !== 'reject-publish') {
    throw invalid('x-overflow', declared.name, `unsupported overflow '${overflow}'`);
  }
  const limit = number('x-delivery-limit') ?? (type === 'quorum' ? quorumDeliveryLimit : undefined);
  return {
    name: declared.name,
    type,
    durable: declared.durable,
    exclusive: declared.exclusive,
    autoDelete: declared.autoDelete,
    arguments: args,
    expiresMs: number('x-expires'),
    messageTtlMs: number('x-message-ttl'),
    maxLength: number('x-max-length'),
    maxBytes: number('x-max-length-bytes'),
    overflow,
    deadLetterExchange: text('x-dead-letter-exchange'),
    deadLetterKey: text('x-dead-letter-routing-key'),
    deliveryLimit: limit !== undefined && limit < 0 ? undefined : limit,
    singleActive: args['x-single-active-consumer'] === 1,
    maxAgeMs: maxAge(text('x-max-age'), declared.name),
  };
}

/** @throws AmqpError 406 naming what differs, as RabbitMQ does */
export function checkEquivalent(existing: QueueSettings, declared: QueueSettings): void {
  for (const [flag, key] of [
    ['durable', 'durable'],
    ['auto_delete', 'autoDelete'],
  ] as const) {
    if (existing[key] !== declared[key]) throw inequivalent(flag, existing.name, declared[key], existing[key]);
  }
  if (existing.type !== declared.type)
    throw inequivalent('x-queue-type', existing.name, `'${declared.type}'`, `'${existing.type}'`);
  for (const name of new Set([...Object.keys(existing.arguments), ...Object.keys(declared.arguments)])) {
    if (name === 'x-queue-type') continue;
    const [had, got] = [existing.arguments[name], declared.arguments[name]];
    if (had !== got) throw inequivalent(name, existing.name, quote(got), quote(had));
  }
}

function inequivalent(what: string, queue: string, received: unknown, current: unknown): AmqpError {
  return new AmqpError(
    406,
    `inequivalent arg '${what}' for queue '${queue}' in vhost '/': received ${received === undefined ? 'none' : `'${received}'`.replaceAll("''", "'")} but current is ${current === undefined ? 'none' : `'${current}'`.replaceAll("''", "'")}`,
  );
}

function quote(value: string | number | undefined): string | undefined {
  return value === undefined ? undefined : `${value}`;
}

function check(name: string, value: string | number, type: QueueType, queue: string): void {
  const rule = known[name];
  // RabbitMQ lets pass what it does not know.
  if (!rule) {
    if (name === 'x-max-priority') throw new AmqpError(540, `priority queues are not supported (queue '${queue}')`);
    return;
  }
  if (!rule.types.includes(type)) throw invalid(name, queue, `not supported for ${type} queues`);
  const wantsText = rule.kind === 'text';
  if (wantsText !== (typeof value === 'string'))
    throw invalid(name, queue, wantsText ? 'expected a string' : 'expected a number');
  if (typeof value !== 'number' || rule.kind === 'flag' || rule.kind === 'limit') return;
  if (value < 0 || !Number.isInteger(value)) throw invalid(name, queue, `{value_negative,${value}}`);
  if (rule.kind === 'positive' && value === 0) throw invalid(name, queue, '{value_zero,0}');
}

function invalid(argument: string, queue: string, why: string): AmqpError {
  return new AmqpError(406, `invalid arg '${argument}' for queue '${queue}' in vhost '/': ${why}`);
}

/** Numbers of all widths as numbers, booleans as 0 and 1. */
function plain(name: string, value: FieldValue): string | number {
  const bare = value instanceof Typed ? value.value : value;
  if (typeof bare === 'string' || typeof bare === 'number') return bare;
  if (typeof bare === 'boolean' || typeof bare === 'bigint') return Number(bare);
  throw new AmqpError(406, `invalid arg '${name}': unsupported type of value`);
}

/** `10s`, `5m`, `2h`, `7D`, `1M`, `1Y`, as RabbitMQ has them. */
function maxAge(text: string | undefined, queue: string): number | undefined {
  if (text === undefined) return undefined;
  const [, count, unit] = /^(\d+)([YMDhms])$/.exec(text) ?? [];
  const second = 1_000;
  const units: Readonly<Record<string, number>> = {
    s: second,
    m: 60 * second,
    h: 3_600 * second,
    D: 86_400 * second,
    M: 2_592_000 * second,
    Y: 31_536_000 * second,
  };
  const factor = units[unit ?? ''];
  if (factor === undefined) throw invalid('x-max-age', queue, `'${text}' is not a number with one of Y, M, D, h, m, s`);
  return Number(count) * factor;
}
