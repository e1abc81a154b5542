import { AmqpError } from '../amqp/error.ts';
import { longestMs } from '../core/limits.ts';

/** Milliseconds of an `expiration` property. @throws AmqpError 406 in RabbitMQ's words */
export function expirationOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const wrong = problemOf(text);
  if (wrong !== undefined) throw new AmqpError(406, `invalid expiration '${text}': ${wrong}`);
  return Number(text);
}

function problemOf(text: string): string | undefined {
  const [, digits, rest] = /^([+-]?\d+)(.*)$/s.exec(text) ?? [];
  if (digits === undefined) return 'no_integer';
  if (rest !== '') return `{leftover_string,"${rest}"}`;
  if (Number(digits) < 0) return `{value_negative,${digits}}`;
  return Number(digits) > longestMs ? `{value_too_large,${digits}}` : undefined;
}
