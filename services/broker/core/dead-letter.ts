import { headersOf, withHeaders, withoutExpiration } from '../amqp/edit-properties.ts';
import { type FieldTable, type FieldValue, Typed } from '../amqp/field-value.ts';
import { scanProperties } from '../amqp/properties.ts';
import type { Message } from './message.ts';
import type { DeadReason } from './queue-host.ts';

/** One row of `x-death`: how often a message died in this queue for this reason. */
interface Death {
  readonly queue: string;
  readonly reason: string;
  readonly table: FieldTable;
}

/**
 * The properties of a message that leaves a queue for its dead-letter exchange: `x-death` with this death in front, the first and the last death by
 * name, and no expiration any more (RabbitMQ, "Dead Letter Exchanges"). What a client wrote there itself counts for nothing, as from 4.0 on.
 * @param now seconds since the epoch
 */
export function deadProperties(message: Message, queue: string, reason: DeadReason, now: number): Buffer {
  const { properties, exchange, key } = message;
  const headers = headersOf(properties);
  const deaths = message.hasDied ? deathsOf(headers) : [];
  const before = deaths.find(death => death.queue === queue && death.reason === reason);
  const { expiration } = scanProperties(properties);
  const row: FieldTable = {
    count: new Typed('l', countOf(before?.table.count) + 1),
    reason,
    queue,
    time: before?.table.time ?? new Typed('T', now),
    exchange: before?.table.exchange ?? exchange,
    'routing-keys': before?.table['routing-keys'] ?? [key],
    ...(expiration === undefined ? {} : { 'original-expiration': expiration }),
  };
  const rest = deaths.filter(death => death !== before).map(death => death.table);
  const isFirst = !message.hasDied || headers['x-first-death-reason'] === undefined;
  const added: FieldTable = {
    'x-death': [row, ...rest],
    ...(isFirst
      ? { 'x-first-death-reason': reason, 'x-first-death-queue': queue, 'x-first-death-exchange': exchange }
      : {}),
    'x-last-death-reason': reason,
    'x-last-death-queue': queue,
    'x-last-death-exchange': exchange,
  };
  return withHeaders(expiration === undefined ? properties : withoutExpiration(properties), added, ['CC', 'BCC']);
}

/** Whether it would go round for ever: it died in this queue before, and nobody rejected it since. */
export function isCycle(properties: Buffer, queue: string): boolean {
  const deaths = deathsOf(headersOf(properties));
  const last = deaths.findIndex(death => death.queue === queue);
  return last !== -1 && deaths.slice(0, last + 1).every(death => death.reason !== 'rejected');
}

function deathsOf(headers: FieldTable): Death[] {
  const rows = headers['x-death'];
  if (!Array.isArray(rows)) return [];
  return rows.flatMap(row => {
    if (!isTable(row)) return [];
    return [{ queue: textOf(row.queue), reason: textOf(row.reason), table: row }];
  });
}

// After a restart it is not known who wrote a row, so anything may be in it.

function isTable(value: FieldValue): value is FieldTable {
  return (
    typeof value === 'object' &&
    value !== null &&
    !Array.isArray(value) &&
    !(value instanceof Typed) &&
    !(value instanceof Uint8Array)
  );
}

function textOf(value: FieldValue | undefined): string {
  return typeof value === 'string' ? value : '';
}

function countOf(value: FieldValue | undefined): number {
  return typeof value === 'number' && value > 0 && value < Number.MAX_SAFE_INTEGER ? Math.floor(value) : 0;
}
