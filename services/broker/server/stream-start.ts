import { AmqpError } from '../amqp/error.ts';
import { type FieldTable, Typed } from '../amqp/field-value.ts';
import { parseMaxAge } from '../core/max-age.ts';
import type { StreamStart } from '../core/stream.ts';

/**
 * Where a consumer of a stream begins (`x-stream-offset`): first, last, next, an offset, a timestamp, or an age as `x-max-age` has it.
 * @param now milliseconds since the epoch
 * @throws AmqpError 406
 */
export function streamStart(args: FieldTable, now: number): StreamStart {
  const given = args['x-stream-offset'];
  if (given === undefined) return 'next';
  if (given === 'first' || given === 'last' || given === 'next') return given;
  if (typeof given === 'string') {
    const ageMs = parseMaxAge(given);
    if (ageMs !== undefined) return { timestampMs: now - ageMs };
  }
  if (given instanceof Typed && given.letter === 'T') return { timestampMs: Number(given.value) * 1_000 };
  if ((typeof given === 'number' || typeof given === 'bigint') && given >= 0) return { offset: Number(given) };
  throw new AmqpError(406, `invalid value '${String(given)}' for x-stream-offset`);
}
