import { AmqpError } from '../amqp/error.ts';
import { longestMs } from './limits.ts';
import { parseMaxAge } from './max-age.ts';
import { type Argument, type Arguments, isInteger } from './queue-arguments.ts';

export type QueueType = 'classic' | 'quorum' | 'stream';

/** What is wrong with a value, in RabbitMQ's words (rabbit_amqqueue.erl, `declare_args`). */
type Check = (argument: Argument, all: Arguments) => string | undefined;

interface Rule {
  readonly types: readonly QueueType[];
  readonly check: Check;
}

const integer: Check = argument => (isInteger(argument) ? undefined : `"expected integer, got ${argument.type}"`);

const count: Check = (argument, all) =>
  integer(argument, all) ?? (Number(argument.value) < 0 ? `{value_negative,${argument.value}}` : undefined);

const milliseconds: Check = (argument, all) =>
  count(argument, all) ?? (Number(argument.value) > longestMs ? `{value_too_large,${argument.value}}` : undefined);

const notZero =
  (check: Check): Check =>
  (argument, all) =>
    check(argument, all) ?? (argument.value === 0 ? '{value_zero,0}' : undefined);

const text: Check = ({ type }) => (type === 'longstr' ? undefined : `{unacceptable_type,${type}}`);

const flag: Check = ({ type }) => (type === 'bool' ? undefined : `{unacceptable_type,${type}}`);

const oneOf =
  (values: readonly string[], wrong: string): Check =>
  (argument, all) =>
    text(argument, all) ?? (values.includes(String(argument.value)) ? undefined : wrong);

const messages: readonly QueueType[] = ['classic', 'quorum'];
const all: readonly QueueType[] = ['classic', 'quorum', 'stream'];

const rules: Readonly<Record<string, Rule>> = {
  'x-expires': { types: messages, check: notZero(milliseconds) },
  'x-message-ttl': { types: messages, check: milliseconds },
  'x-dead-letter-exchange': { types: messages, check: text },
  'x-dead-letter-routing-key': {
    types: messages,
    check: (argument, given) =>
      text(argument, given) ??
      (given.has('x-dead-letter-exchange') ? undefined : 'routing_key_but_no_dlx_defined') ??
      // A message with it could be sent to nobody.
      (Buffer.byteLength(String(argument.value)) > 255 ? '"longer than 255 octets"' : undefined),
  },
  'x-dead-letter-strategy': {
    types: ['quorum'],
    check: oneOf(['at-most-once', 'at-least-once'], 'invalid_dlx_strategy'),
  },
  'x-max-length': { types: messages, check: count },
  'x-max-length-bytes': { types: all, check: count },
  'x-max-priority': { types: ['classic'], check: count },
  'x-overflow': {
    types: messages,
    check: oneOf(['drop-head', 'reject-publish', 'reject-publish-dlx'], 'invalid_overflow'),
  },
  'x-queue-mode': {
    types: ['classic'],
    check: (argument, given) =>
      text(argument, given) ??
      (argument.value === 'default' || argument.value === 'lazy'
        ? undefined
        : `"unsupported queue mode '${argument.value}'"`),
  },
  'x-queue-version': {
    types: ['classic'],
    check: (argument, given) =>
      integer(argument, given) ??
      (argument.value === 1 || argument.value === 2 ? undefined : `"unsupported queue version '${argument.value}'"`),
  },
  'x-single-active-consumer': { types: messages, check: flag },
  'x-queue-type': {
    types: all,
    check: (argument, given) =>
      text(argument, given) ??
      (all.some(type => type === argument.value) ? undefined : `"unsupported queue type '${argument.value}'"`),
  },
  'x-delivery-limit': { types: ['quorum'], check: integer },
  'x-quorum-initial-group-size': { types: ['quorum'], check: notZero(count) },
  'x-initial-cluster-size': { types: ['stream'], check: notZero(count) },
  'x-queue-leader-locator': { types: all, check: oneOf(['client-local', 'balanced'], 'invalid_queue_locator_arg') },
  'x-max-age': {
    types: ['stream'],
    check: (argument, given) =>
      text(argument, given) ??
      (parseMaxAge(String(argument.value)) === undefined ? '{error,invalid_max_age}' : undefined),
  },
  'x-stream-max-segment-size-bytes': { types: ['stream'], check: count },
  'x-stream-filter-size-bytes': { types: ['stream'], check: count },
};

/** The arguments that a queue of this type takes notice of; RabbitMQ lets pass what nobody knows. */
export function argumentsOf(type: QueueType): string[] {
  return Object.keys(rules).filter(name => rules[name]?.types.includes(type));
}

export function queueTypeOf(given: Arguments): QueueType {
  const type = given.get('x-queue-type')?.value;
  return type === 'quorum' || type === 'stream' ? type : 'classic';
}

/** @throws AmqpError 406 for a value out of its range, or an argument of another type of queue; 540 for what is not built */
export function checkArguments(queue: string, given: Arguments): void {
  // RabbitMQ looks at this one before all others, in words of its own.
  const deadLetterExchange = given.get('x-dead-letter-exchange');
  if (deadLetterExchange && deadLetterExchange.type !== 'longstr') {
    throw new AmqpError(
      406,
      `invalid type '${deadLetterExchange.type}' for arg 'x-dead-letter-exchange' in queue '${queue}' in vhost '/'`,
    );
  }
  for (const [name, { check }] of Object.entries(rules)) {
    const argument = given.get(name);
    const wrong = argument && check(argument, given);
    if (wrong !== undefined)
      throw new AmqpError(406, `invalid arg '${name}' for queue '${queue}' in vhost '/': ${wrong}`);
  }
  const type = queueTypeOf(given);
  for (const [name, { types }] of Object.entries(rules)) {
    if (!given.has(name) || types.includes(type)) continue;
    throw new AmqpError(
      406,
      `invalid arg '${name}' for queue '${queue}' in vhost '/' of queue type rabbit_${type}_queue`,
    );
  }
  if (given.has('x-max-priority')) throw new AmqpError(540, 'queues with priorities are not built');
}
