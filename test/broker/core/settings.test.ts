import { describe, expect, test } from 'vitest';
import type { FieldTable } from '../../../services/broker/amqp/field-value.ts';
import { Typed } from '../../../services/broker/amqp/field-value.ts';
import { parseMaxAge } from '../../../services/broker/core/max-age.ts';
import { readArguments } from '../../../services/broker/core/queue-arguments.ts';
import {
  argumentsOfSettings,
  checkEquivalent,
  newQueueSettings,
  type QueueSettings,
  queueSettings,
} from '../../../services/broker/core/settings.ts';
import { wired } from './fixtures.ts';

const flags = { name: 'q', durable: true, exclusive: false, autoDelete: false };
const declared = (args: FieldTable): Parameters<typeof newQueueSettings>[0] => ({
  ...flags,
  arguments: readArguments(wired(args)),
});

/** As it comes back from the ledger. */
function restarted(settings: QueueSettings): QueueSettings {
  const written = JSON.parse(JSON.stringify(settings)) as QueueSettings;
  return queueSettings({ ...written, arguments: argumentsOfSettings(written) });
}

describe('what a queue was declared with', () => {
  test.for<FieldTable>([
    {},
    { 'x-message-ttl': 1000, 'x-max-length': new Typed('l', 5), 'x-overflow': 'reject-publish' },
    { 'x-queue-type': 'quorum', 'x-delivery-limit': -1, 'x-single-active-consumer': true },
    { 'x-queue-type': 'stream', 'x-max-age': '7D', 'x-max-length-bytes': new Typed('l', 2 ** 40) },
    { 'x-dead-letter-exchange': '', 'x-dead-letter-routing-key': 'k', 'x-note': ['nobody knows'] },
  ])('is the same after a restart: %j', args => {
    const settings = newQueueSettings(declared(args));
    const again = restarted(settings);
    expect(again).toEqual(settings);
    checkEquivalent(again, declared(args));
  });

  test('is compared as RabbitMQ does: any integer type is as good, another type is not', () => {
    const settings = restarted(newQueueSettings(declared({ 'x-max-length': new Typed('s', 5) })));
    checkEquivalent(settings, declared({ 'x-max-length': new Typed('l', 5), 'x-note': 'new' }));
    const other = (args: FieldTable) => () => checkEquivalent(settings, declared(args));
    expect(other({ 'x-max-length': '5' })).toThrow("received '5' but current is '5'");
    expect(other({})).toThrow("received none but current is the value '5' of type 'short'");
    expect(other({ 'x-max-length': 5, 'x-expires': new Typed('b', 9) })).toThrow(
      "inequivalent arg 'x-expires' for queue 'q' in vhost '/': received the value '9' of type 'byte' but current is none",
    );
  });

  test('means a limit of 20 deliveries for a quorum queue that says none, and none for -1', () => {
    expect(newQueueSettings(declared({ 'x-queue-type': 'quorum' })).deliveryLimit).toBe(20);
    expect(
      newQueueSettings(declared({ 'x-queue-type': 'quorum', 'x-delivery-limit': -1 })).deliveryLimit,
    ).toBeUndefined();
    expect(newQueueSettings(declared({})).deliveryLimit).toBeUndefined();
  });
});

test.for([
  ['10s', 10_000],
  ['5m', 300_000],
  ['2h', 7_200_000],
  ['7D', 604_800_000],
  ['1M', 2_592_000_000],
  ['1Y', 31_536_000_000],
  ['10', undefined],
  ['s', undefined],
  ['-1s', undefined],
  ['1.5h', undefined],
  ['', undefined],
] as const)("an age of '%s' is %s ms", ([text, ms]) => {
  expect(parseMaxAge(text)).toBe(ms);
});
